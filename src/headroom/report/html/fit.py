"""The page of a plan of widths: old and new width on each layer's staircase, and accuracy against latency."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from headroom.advise.questions.answer import Lines
from headroom.change.widths.fit.plan import LayerChange, Plan
from headroom.change.widths.fit.stands import Stand
from headroom.report.fit_words import GROUP_HEADS, LAYER_HEADS, group_rows, layer_rows, sentences, verdict
from headroom.report.html.charts import DataTable, LineChart
from headroom.report.html.lines import line_chart
from headroom.report.html.page import render_page
from headroom.text import view


@dataclass(frozen=True)
class Trial:
    """A network whose accuracy somebody found, and what it takes: a point of Figure 8 of the tail-effect paper."""

    name: str
    latency_us: float
    accuracy_pct: float


@dataclass(frozen=True)
class _Picture:
    """One layer as the template draws it."""

    key: str
    title: str
    sentence: str
    chart: LineChart


def render_fit(plan: Plan, trials: Sequence[Trial] = ()) -> str:
    """A single file that needs nothing else."""
    clock, graph = plan.space.clock, plan.space.network.graph
    system = [] if clock.measurements is None else [view(clock.measurements.system.title, 160)]
    return render_page(
        "fit.html.j2",
        model=view(graph.name, 80),
        gpu=view(clock.gpu.name, 60),
        chips=[f"batch {graph.batch}", clock.dtype.value, f"L2 {clock.l2}", f"goal {plan.goal.name}", *system],
        verdict=verdict(plan),
        sentences=sentences(plan),
        groups=DataTable(GROUP_HEADS, tuple(group_rows(plan))),
        layers=DataTable(LAYER_HEADS, tuple(layer_rows(plan))),
        pictures=tuple(_pictures(plan)),
        trials=_trade_off(trials) if trials else None,
    )


def _pictures(plan: Plan) -> Iterator[_Picture]:
    """Figure 7 of the paper, for every layer that changes."""
    for number, (layer, stand) in enumerate(zip(plan.layers, plan.stands, strict=True)):
        if stand is not None and layer.changes:
            (before, old), (after, new) = layer.widths
            sentence = f"{before} inputs and {old} outputs become {after} inputs and {new} outputs."
            yield _Picture(f"f{number}", view(layer.name, 60), sentence, _staircases(layer, stand, f"f{number}"))


def _staircases(layer: LayerChange, stand: Stand, key: str) -> LineChart:
    """Both staircases (they differ where the input width moved) with the layer's places on them."""
    sides = (stand.before, stand.after)
    places = [(pair[1], point) for pair, point in zip(layer.widths, layer.points, strict=True)]
    curves = [
        (f"with {pair[0]} inputs", tuple((float(point.width), point.latency_us) for point in side.staircase.points))
        for pair, side in zip(layer.widths, sides, strict=True)
    ]
    marks = [
        (f"{name} width", ((float(width), point.latency_us),))
        for name, (width, point) in zip(("old", "new"), places, strict=True)
    ]
    shown = curves if layer.widths[0][0] != layer.widths[1][0] else curves[:1]
    chart = line_chart(Lines("Latency by outputs", "outputs", "latency us", (*shown, *marks)), key, even=True)
    lines, points = chart.curves[: len(shown)], chart.curves[len(shown) :]
    return replace(
        chart,
        help="Lines are the layer's staircases, marks its place before and after.",
        curves=(*(replace(line, points=()) for line in lines), *points),
    )


def _trade_off(trials: Sequence[Trial]) -> LineChart:
    series = tuple((trial.name, ((trial.latency_us, trial.accuracy_pct),)) for trial in trials)
    chart = line_chart(Lines("Accuracy and latency", "latency us", "accuracy %", series), "trials")
    return replace(chart, help="Further left is faster, higher is more accurate.")
