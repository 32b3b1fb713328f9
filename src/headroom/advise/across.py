"""One model over batch sizes, data types and GPUs: the answers of several analyses in one table and one chart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headroom.advise.analysis import Analysis
from headroom.advise.questions.answer import Cell, Lines, Table, Waterfall
from headroom.advise.questions.how_low import benanza_ratio

Point = tuple[float, float]


def bounds_across(analyses: Sequence[Analysis]) -> tuple[Table, Lines, Lines]:
    """Bounds and Benanza ratios: a table with a row per analysis, bounds per sample and ratios over the batch."""
    table = Table(
        title="How low, over batch sizes and GPUs",
        heads=(
            "GPU", "batch", "data type", "one by one us", "in parallel us", "fused us", "speed of light us",
            "measured us", "one by one / measured x", "in parallel / measured x",
        ),
        rows=tuple(_bounds_row(analysis) for analysis in analyses),
    )  # fmt: skip
    bounds = Lines(
        title="Time per sample",
        x="batch",
        y="time per sample us",
        series=_series(
            (f"{_where(analysis, analyses)}, {name}", analysis.batch, None if us is None else us / analysis.batch)
            for analysis in analyses
            for name, us in _bounds(analysis)
        ),
    )
    ratios = Lines(
        title="Benanza ratio: lower-bound latency over measured",
        x="batch",
        y="LBL / measured",
        series=_series(
            (f"{_where(analysis, analyses)}, {name}", analysis.batch, benanza_ratio(us, analysis.measured_us))
            for analysis in analyses
            for name, us in _bounds(analysis)[:2]
        ),
    )
    return table, bounds, ratios


def joint_speedup_across(analyses: Sequence[Analysis]) -> tuple[Table, Lines]:
    """What all changes together give over the batch size, per GPU and data type: from what runs today to the joint
    bound."""
    found = [(analysis, *steps) for analysis in analyses if (steps := _joint(analysis)) is not None]
    table = Table(
        title="All together, over batch sizes and GPUs",
        heads=("GPU", "batch", "data type", "from", "from us", "to us", "speedup x"),
        rows=tuple((a.gpu.name, a.batch, str(a.dtype), name, start, end, start / end) for a, name, start, end in found),
    )
    lines = Lines(
        title="Joint speedup",
        x="batch",
        y="speedup",
        series=_series((_where(a, analyses), a.batch, start / end) for a, _, start, end in found),
    )
    return table, lines


def _joint(analysis: Analysis) -> tuple[str, float, float] | None:
    """Name and latency that the waterfall of question 7 starts from, and the latency that it ends with."""
    for answer in analysis.questions:
        for chart in answer.charts if answer.number == 7 else ():
            if isinstance(chart, Waterfall) and chart.steps and chart.steps[-1][1] > 0:
                return (*chart.steps[0], chart.steps[-1][1])
    return None


def _bounds(analysis: Analysis) -> tuple[tuple[str, float | None], ...]:
    bounds = analysis.bounds
    return (
        ("one by one", bounds.sequential_us),
        ("in parallel", bounds.parallel_us),
        ("fused", bounds.fused_us),
        ("measured", analysis.measured_us),
    )


def _bounds_row(analysis: Analysis) -> tuple[Cell, ...]:
    bounds = analysis.bounds
    return (
        analysis.gpu.name,
        analysis.batch,
        str(analysis.dtype),
        bounds.sequential_us,
        bounds.parallel_us,
        bounds.fused_us,
        bounds.speed_of_light_us,
        analysis.measured_us,
        benanza_ratio(bounds.sequential_us, analysis.measured_us),
        benanza_ratio(bounds.parallel_us, analysis.measured_us),
    )


def _where(analysis: Analysis, analyses: Sequence[Analysis]) -> str:
    """The GPU, with the data type where several are compared."""
    several = len({other.dtype for other in analyses}) > 1
    return f"{analysis.gpu.name} {analysis.dtype}" if several else analysis.gpu.name


def _series(values: Iterable[tuple[str, int, float | None]]) -> tuple[tuple[str, tuple[Point, ...]], ...]:
    """Points by name, in order of the batch; those without a value are left out."""
    series: dict[str, list[Point]] = {}
    for name, batch, value in values:
        if value is not None:
            series.setdefault(name, []).append((float(batch), value))
    return tuple((name, tuple(sorted(points))) for name, points in series.items())
