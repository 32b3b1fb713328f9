"""A waterfall: what is left of the latency after each step, and what the step took off."""

from __future__ import annotations

from headroom import figures
from headroom.advise.questions.answer import Waterfall
from headroom.report.html.charts import Bar, BarChart, DataTable, Segment, tip
from headroom.text import view

_MINUS = "\N{MINUS SIGN}"


def waterfall_chart(waterfall: Waterfall, key: str) -> BarChart:
    """Bars from the start down to the bound: what each step leaves, and the piece that it takes off."""
    left = [max(left_us, 0.0) for _, left_us in waterfall.steps]
    names = [view(name, 80) for name, _ in waterfall.steps]
    full_us = max(left, default=0.0) or 1.0
    befores = [None, *left][: len(left)]
    bars = tuple(
        _bar(name, before_us, left_us, full_us, is_last=at == len(left) - 1)
        for at, (name, before_us, left_us) in enumerate(zip(names, befores, left, strict=True))
    )
    rows = tuple(
        (name, figures.time(left_us), _change(before_us, left_us) or figures.NOTHING)
        for name, before_us, left_us in zip(names, befores, left, strict=True)
    )
    return BarChart(
        key,
        view(waterfall.title, 200),
        _help(left),
        bars,
        DataTable(("Step", "Left", "Change"), rows),
        (("step-left", "left after the step"), ("step-saved", "taken off by it")) if len(bars) > 1 else (),
    )


def _bar(name: str, before_us: float | None, left_us: float, full_us: float, *, is_last: bool) -> Bar:
    text, change = figures.time(left_us), _change(before_us, left_us)
    facts = tip(name, f"{text} left", change)
    at = 100 * left_us / full_us
    kept = "rung-measured" if before_us is None else "step-end" if is_last else "step-left"
    if before_us is None or before_us == left_us:
        return Bar(name, text, (Segment(0.0, at, kept, facts),), note=change)
    was = 100 * before_us / full_us
    moved = Segment(min(at, was), abs(at - was), "step-saved" if left_us < before_us else "step-lost", facts)
    return Bar(name, text, (Segment(0.0, min(at, was), kept, facts), moved), note=change)


def _change(before_us: float | None, left_us: float) -> str:
    if before_us is None:
        return ""
    if before_us == left_us:
        return "±0"
    return f"{_MINUS if left_us < before_us else '+'}{figures.time(abs(before_us - left_us))}"


def _help(left: list[float]) -> str:
    if len(left) < 2 or left[-1] <= 0:
        return ""
    return (
        f"From {figures.time(left[0])} to {figures.time(left[-1])}: {figures.ratio(left[0] / left[-1])} if all of it "
        "is done. Each step is counted on top of those above it, so the pieces do add up."
    )
