"""The roofline: what each layer reaches against what the GPU allows at its arithmetic intensity."""

from __future__ import annotations

import math
from dataclasses import dataclass

from headroom import figures
from headroom.advise.analysis import Analysis, LayerAnswer
from headroom.graph.tensor import DataType
from headroom.report import summary
from headroom.report.html.charts import DataTable, Line, Point, Scatter, Tick, css_name, legend_of, tip
from headroom.text import view

_SMALLEST_RADIUS, _LARGEST_RADIUS = 3.0, 13.0


@dataclass(frozen=True, slots=True)
class _Spot:
    """A layer on the roofline: flops per byte of compulsory traffic, and 10^12 flops per second."""

    answer: LayerAnswer
    intensity: float
    tflops: float


@dataclass(frozen=True, slots=True)
class _Axes:
    """Whole decades around the marks and the ridge, as base-10 logarithms."""

    x0: int
    x1: int
    y0: int
    y1: int

    def x(self, intensity: float) -> float:
        return 100 * (math.log10(intensity) - self.x0) / (self.x1 - self.x0)

    def holds(self, intensity: float) -> bool:
        return self.x0 <= math.log10(intensity) <= self.x1

    def y(self, tflops: float) -> float:
        return 100 - 100 * (math.log10(tflops) - self.y0) / (self.y1 - self.y0)


def roofline_chart(analysis: Analysis) -> Scatter:
    """Every configuration that computes, as a mark whose area is its share of the time."""
    spots = [spot for answer in summary.longest(analysis) if (spot := _spot(answer, analysis.dtype)) is not None]
    gpu = analysis.gpu
    tensor = gpu.peak_tflops(analysis.dtype)
    plain = gpu.peak_tflops(analysis.dtype, tensor=False)
    peaks = {"tensor cores": tensor, "plain cores": plain} if tensor > plain else {"peak": tensor}
    slope = gpu.dram.bandwidth_gbs / 1e3  # 10^12 flops per second at one flop per byte
    axes = _axes(spots, slope, max(peaks.values()))
    largest_us = max((spot.answer.total_us for spot in spots), default=1.0) or 1.0
    left_out = len(analysis.answers) - len(spots)
    missing = f" {left_out} configurations that compute nothing or are unknown are not shown." if left_out else ""
    return Scatter(
        "roofline",
        "Roofline",
        "Each mark is a layer: to the right it does more arithmetic per byte that it has to read or write, upwards it "
        "is faster; its area is its share of the time. The nearer to the roof, the less there is to gain; a mark above "
        f"the DRAM line finds operands in L2.{missing}",
        tuple(_point(spot, axes, largest_us) for spot in spots),
        _roofs(axes, {"DRAM": slope, "L2": gpu.l2.bandwidth_gbs / 1e3}, peaks),
        tuple(Tick(axes.x(p / slope), f"{p / slope:.0f}") for p in peaks.values() if axes.holds(p / slope)),
        tuple(Tick(axes.x(10.0**e), _decade(e)) for e in range(axes.x0, axes.x1 + 1)),
        tuple(Tick(axes.y(10.0**e), _rate(10.0**e)) for e in range(axes.y0, axes.y1 + 1)),
        _table(spots),
        legend_of(sorted({spot.answer.layer.kind.value for spot in spots})),
    )


def _spot(answer: LayerAnswer, dtype: DataType) -> _Spot | None:
    time_us, moved = answer.prediction.time_us, answer.layer.bytes(dtype)
    if not time_us or moved <= 0 or answer.layer.flops <= 0:
        return None
    return _Spot(answer, answer.layer.flops / moved, answer.layer.flops / time_us / 1e6)


def _axes(spots: list[_Spot], slope: float, peak: float) -> _Axes:
    xs = [spot.intensity for spot in spots] + [peak / slope]
    ys = [spot.tflops for spot in spots] + [peak]
    x0, y0 = math.floor(math.log10(min(xs))), math.floor(math.log10(min(ys)))
    x1, y1 = math.floor(math.log10(max(xs))) + 1, math.floor(math.log10(max(ys))) + 1
    # A lone speck of work may be many decades below everything else; twelve decades keep the rest readable.
    return _Axes(max(x0, x1 - 12), x1, max(y0, y1 - 12), y1)


def _point(spot: _Spot, axes: _Axes, largest_us: float) -> Point:
    answer, prediction = spot.answer, spot.answer.prediction
    share = math.sqrt(answer.total_us / largest_us)
    facts = tip(
        view(answer.layer.name) + (f" × {answer.count}" if answer.count > 1 else ""),
        f"{figures.time_with_error(answer.total_us, prediction.error_pct)} ({prediction.source.value})",
        f"{figures.significant(spot.intensity, 2)} flops per byte, {_rate(spot.tflops)}",
        f"{answer.layer.kind.value}, limited by {prediction.bottleneck.value}",
    )
    return Point(
        _inside(axes.x(spot.intensity)),
        _inside(axes.y(spot.tflops)),
        _SMALLEST_RADIUS + (_LARGEST_RADIUS - _SMALLEST_RADIUS) * share,
        css_name(answer.layer.kind.value),
        facts,
    )


def _roofs(axes: _Axes, slopes: dict[str, float], peaks: dict[str, float]) -> tuple[Line, ...]:
    """A slanted roof per memory level and a flat one per kind of unit, clipped to the plot."""
    top = max(peaks.values())
    lines = []
    for name, slope in slopes.items():
        left = max(10.0**axes.x0, 10.0**axes.y0 / slope)
        right = min(10.0**axes.x1, top / slope)
        if left < right:
            css = f"roof-memory roof-{name.lower()}"
            lines.append(Line(axes.x(left), axes.y(slope * left), axes.x(right), axes.y(slope * right), css, name))
    for name, peak in peaks.items():
        left = max(10.0**axes.x0, peak / max(slopes.values()))
        lines.append(Line(axes.x(left), axes.y(peak), 100.0, axes.y(peak), "roof-compute", f"{name} {_rate(peak)}"))
    return tuple(lines)


def _table(spots: list[_Spot]) -> DataTable:
    rows = tuple(
        (
            view(spot.answer.layer.name),
            figures.significant(spot.intensity, 2),
            _rate(spot.tflops),
            figures.time_with_error(spot.answer.total_us, spot.answer.prediction.error_pct),
            spot.answer.prediction.bottleneck.value,
        )
        for spot in spots
    )
    return DataTable(("Layer", "Flops per byte", "Rate", "Time of all occurrences", "Limited by"), rows)


def _rate(tflops: float) -> str:
    """``1.2 TFLOP/s`` with two digits, in the unit that suits it."""
    for scale, unit in ((1e3, "PFLOP/s"), (1.0, "TFLOP/s"), (1e-3, "GFLOP/s"), (1e-6, "MFLOP/s")):
        if tflops >= scale * 0.9995:
            return f"{figures.significant(tflops / scale, 2 if tflops / scale < 10 else 3).removesuffix('.0')} {unit}"
    return f"{figures.significant(tflops * 1e12, 2)} FLOP/s"


def _decade(exponent: int) -> str:
    return f"{10.0**exponent:,.{max(0, -exponent)}f}"


def _inside(position: float) -> float:
    return min(max(position, 0.0), 100.0)
