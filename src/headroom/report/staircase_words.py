"""What people read of a staircase, in a terminal and on a page: a title, its steps as rows, sentences."""

from __future__ import annotations

from collections.abc import Sequence

from headroom import figures
from headroom.advise.findings.common import counted
from headroom.change.widths.staircase.curve import Point, Staircase
from headroom.change.widths.staircase.layers import widths_of
from headroom.change.widths.staircase.reading import Reading
from headroom.change.widths.staircase.steps import Interval
from headroom.change.widths.staircase.study import LayerReading
from headroom.change.widths.staircase.wave_model import WaveModel
from headroom.predict.prediction import Source
from headroom.text import view

#: The share is of busy SMs.
HEADS = ("widths", "latency", "trend", "step", "best", "TFLOP/s", "busy", "waves", "from")

#: Widths that a sentence lists.
_MOST_LISTED = 24


def title(each: LayerReading, reading: Reading) -> str:
    """``layer3.0.conv2, 256 inputs``, with how often the model has it."""
    name = view(each.layer.module or each.layer.name or each.layer.step, 60)
    fixed = f", {reading.staircase.fixed} inputs" if reading.staircase.fixed else ", as many inputs as outputs"
    count = f", {each.subject.count} times" if each.subject.count > 1 else ""
    return f"{name}{fixed}{count}"


def stands(each: LayerReading, reading: Reading) -> str:
    """Where the layer stands on its staircase, and the best wider one; empty where none was looked at."""
    own = widths_of(each.layer)[1]
    here = reading.staircase.at(own)
    if here is None or own == reading.staircase.points[-1].width:
        return ""
    wider = [point for point in reading.dominating if point.width >= own]
    time = figures.time_with_error(here.latency_us, here.error_pct)
    if not wider or wider[0].width == own:
        return f"At its width of {own} it takes {time}; no wider layer is as fast."
    best = min(wider, key=lambda point: point.latency_us)
    change = 100 * (best.latency_us / here.latency_us - 1)
    faster = f"{-change:.0f} % less" if change < -0.5 else "no longer"
    return f"At its width of {own} it takes {time}; at {best.width} it would take {faster}."


def rows(reading: Reading) -> list[tuple[str, ...]]:
    """A row per interval, under :data:`HEADS`."""
    best = {point.width: point for point in reading.candidates}
    rises = {step.first: step.rise_pct for step in reading.steps}
    return [_row(each, best, rises) for each in reading.intervals]


def _row(interval: Interval, best: dict[int, Point], rises: dict[int, float]) -> tuple[str, ...]:
    point = next(best[width] for width in best if interval.first <= width <= interval.last)
    span = str(interval.first) if interval.first == interval.last else f"{interval.first}–{interval.last}"
    ends = [figures.time(time, point.error_pct) for time in (interval.first_us, interval.last_us)]
    rise = rises.get(interval.first)
    return (
        span,
        ends[0] if ends[0] == ends[1] else " → ".join(ends),
        str(interval.trend),
        "" if rise is None else f"{rise:+.0f} %",
        str(point.width),
        figures.significant(point.tflops, figures.justified_digits(point.error_pct)),
        figures.NOTHING if point.utilisation is None else figures.percent(point.utilisation),
        figures.NOTHING if point.waves is None else str(point.waves),
        point.source.value,
    )


def summary(reading: Reading) -> list[str]:
    """What the curve comes to, a sentence each."""
    return [
        f"No wider layer is as fast: {_listed([point.width for point in reading.dominating])}.",
        f"Equation 3: {_model(reading.model)}; with a constant: {_model(reading.model_with_overhead)}.",
        _sources(reading.staircase),
    ]


def _listed(widths: Sequence[int]) -> str:
    shown = ", ".join(map(str, widths[:_MOST_LISTED]))
    return shown if len(widths) <= _MOST_LISTED else f"{shown} and {len(widths) - _MOST_LISTED} more"


def _model(model: WaveModel) -> str:
    overhead = f"{figures.time(model.overhead_us)} and " if model.overhead_us else ""
    cycle = f"{figures.time(model.cycle_us)} per wave of {model.wave_width:,.0f} widths"
    return f"{overhead}{cycle}, off by {model.residual_pct:.1f} % (at most {model.worst_pct:.1f} %)"


def _sources(curve: Staircase) -> str:
    counts = {source: sum(point.source is source for point in curve.points) for source in Source}
    parts = [f"{count} {source.value}" for source, count in counts.items() if count]
    errors = [point.error_pct for point in curve.points]
    return f"{counted(len(curve.points), 'width')}: {', '.join(parts)}; error bars up to {figures.error(max(errors))}."
