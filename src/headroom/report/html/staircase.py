"""The page of a study of staircases: per layer latency, throughput and utilisation against width, and its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from headroom.advise.questions.answer import Lines
from headroom.change.widths.staircase.curve import Point
from headroom.change.widths.staircase.reading import Reading
from headroom.change.widths.staircase.study import LayerReading, Study
from headroom.report.html.charts import DataTable, LineChart
from headroom.report.html.lines import line_chart
from headroom.report.html.page import render_page
from headroom.report.staircase_words import HEADS, rows, stands, summary, title
from headroom.text import view

#: Stairs of equal width look so, over however many widths.
_chart = partial(line_chart, even=True)

_HELP = "Every mark is a width; its tip and the table have the figures."


@dataclass(frozen=True)
class Section:
    """A staircase, or several on the same charts, as the template draws them."""

    key: str
    title: str
    stands: str
    charts: tuple[LineChart, ...]
    table: DataTable
    sentences: tuple[str, ...] = ()


def render_staircases(answer: Study) -> str:
    """A single file that needs nothing else."""
    pairs = [(each, reading) for each in answer.layers for reading in each.readings]
    return render_page(
        "staircase.html.j2",
        model=view(answer.model, 80),
        gpu=view(answer.gpu.name, 60),
        chips=[answer.dtype.value, f"L2 {answer.l2}", *_systems(answer)],
        sections=[_section(*pair, f"s{position}") for position, pair in enumerate(pairs)],
        together=_together(answer),
        notes=[view(note, 400) for note in answer.notes],
    )


def _systems(answer: Study) -> list[str]:
    """Whose measurements the figures go back to."""
    return [view(answer.system, 160)] if answer.system is not None and answer.asks_measurements else []


def _section(each: LayerReading, reading: Reading, key: str) -> Section:
    return Section(
        key=key,
        title=title(each, reading),
        stands=stands(each, reading),
        charts=tuple(_charts(reading)),
        table=DataTable(HEADS, tuple(rows(reading))),
        sentences=tuple(summary(reading)),
    )


def _charts(reading: Reading) -> list[LineChart]:
    points = reading.staircase.points
    model = reading.model_with_overhead
    latency = _chart(
        Lines(
            title="Latency",
            x="width",
            y="latency us",
            series=(
                ("latency", _series(points, [point.latency_us for point in points])),
                ("no wider layer is as fast", _series(reading.dominating, [p.latency_us for p in reading.dominating])),
                ("equation 3 with a constant", _series(points, [model.latency_us(point.width) for point in points])),
            ),
        ),
        "latency",
    )
    # The second series marks widths on the first; the third is a line to compare it with.
    first, kept, fitted = latency.curves
    latency = replace(latency, help=_HELP, curves=(replace(fitted, points=()), first, replace(kept, pieces=())))
    throughput = Lines("Throughput", "width", "TFLOP/s", (("throughput", _series(points, [p.tflops for p in points])),))
    charts = [latency, replace(_chart(throughput, "throughput"), help="Flops over latency.")]
    used = [(point, 100 * point.utilisation) for point in points if point.utilisation is not None]
    if used:
        shares = _series([point for point, _ in used], [share for _, share in used])
        lines = Lines("Utilisation of the SMs", "width", "busy SMs %", (("busy SMs", shares),))
        charts.append(replace(_chart(lines, "utilisation"), help="Mean over all waves, from tiles and waves."))
    return charts


def _together(answer: Study) -> LineChart | None:
    """One layer over several input widths, on one chart."""
    if len(answer.layers) != 1 or len(answer.layers[0].readings) < 2:
        return None
    curves = [reading.staircase for reading in answer.layers[0].readings]
    series = tuple((f"{each.fixed} inputs", _series(each.points, list(each.latencies_us))) for each in curves)
    return replace(_chart(Lines("Latency by input width", "width", "latency us", series), "inputs"), help=_HELP)


def _series(points: Sequence[Point], values: Sequence[float]) -> tuple[tuple[float, float], ...]:
    return tuple((float(point.width), float(value)) for point, value in zip(points, values, strict=True))
