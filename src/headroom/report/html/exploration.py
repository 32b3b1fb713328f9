"""The page of an exploration: speed-up against cost or setting, what limits each design, and the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headroom import figures
from headroom.advise.questions.answer import Lines
from headroom.gpu.designs import field_values
from headroom.predict.explore.explore import Exploration, shares_of
from headroom.predict.explore.figures import Figures
from headroom.predict.explore.space import NEUTRAL, TILE, Axis
from headroom.report.exploration import notes_of
from headroom.report.exploration_terminal import shown
from headroom.report.html.charts import Bar, BarChart, DataTable, LineChart, Segment, css_name, legend_of, tip
from headroom.report.html.lines import line_chart
from headroom.report.html.page import render_page
from headroom.text import view

#: Marks of the chart of costs: with more, nobody could tell them apart.
_MOST_MARKS = 1500

#: Rows of the table; the JSON and CSV answers have them all.
_MOST_ROWS = 500


def render_exploration(explored: Exploration) -> str:
    """A single file that needs nothing else."""
    graph = explored.graph
    base = explored.base
    error = 100.0 * float(base.error_us[0] / base.time_us[0])
    return render_page(
        "exploration.html.j2",
        model=view(graph.name, 80),
        gpu=view(explored.gpu.name, 60),
        chips=[f"batch {graph.batch}", explored.dtype.value, f"L2 {explored.l2_state}", f"theory {explored.theory}"],
        base=_time(float(base.time_us[0]), error),
        count=len(explored),
        notes=[view(note, 400) for note in notes_of(explored)],
        curves=[chart for chart in (_cost_chart(explored), _one_at_a_time(explored)) if chart is not None],
        limits=_limits_chart(explored),
        table=_table(explored),
        table_title=f"The fastest {_MOST_ROWS} designs" if len(explored) > _MOST_ROWS else "All designs",
    )


def _cost_chart(explored: Exploration) -> LineChart | None:
    """Speed-up against cost: every design a mark, the front a curve."""
    if explored.costs is None or explored.on_front is None or explored.cost is None:
        return None
    speedups, costs = explored.speedups, explored.costs
    others = np.flatnonzero(~explored.on_front)
    marks = others[:: max(1, math.ceil(len(others) / _MOST_MARKS))]
    front = np.flatnonzero(explored.on_front)
    unit = f" {explored.cost.unit}" if explored.cost.unit else ""
    lines = Lines(
        title=f"Speed-up against {view(explored.cost.name, 40)}",
        x=view(f"{explored.cost.name}{unit}", 60),
        y="speed-up x",
        series=(
            ("other designs", tuple((float(costs[i]), float(speedups[i])) for i in marks)),
            ("Pareto front", tuple((float(costs[i]), float(speedups[i])) for i in front)),
        ),
    )
    chart = line_chart(lines, "cost")
    curves = tuple(replace(curve, pieces=()) if curve.name == "other designs" else curve for curve in chart.curves)
    thinned = f" {len(marks)} of the other designs are shown." if len(marks) < len(others) else ""
    return replace(chart, curves=curves, help=f"No design beats those on the front in both.{thinned}")


def _one_at_a_time(explored: Exploration) -> LineChart | None:
    """What each axis alone does, in units of the base's value; only where the grid has such designs."""
    space = explored.space
    place = {int(design): at for at, design in enumerate(explored.possible)}
    neutral = [next((i for i, s in enumerate(axis.settings) if s == NEUTRAL), -1) for axis in space.axes]
    series = []
    for at, axis in enumerate(space.axes):
        others = [i for i in range(len(space.axes)) if i != at]
        alone = np.flatnonzero((space.choice[:, others] == np.array([neutral[i] for i in others])).all(axis=1))
        points = [
            (_factor(explored, axis, int(d)), float(explored.speedups[place[int(d)]])) for d in alone if int(d) in place
        ]
        if len(points) > 1:
            series.append((axis.name, tuple(points)))
    if not series:
        return None
    chart = line_chart(Lines("One change at a time", "times the GPU's own", "speed-up x", tuple(series)), "alone")
    return replace(chart, help="Everything else stays as the GPU has it, or follows.")


def _factor(explored: Exploration, axis: Axis, design: int) -> float:
    """The axis's setting in units of the base's own value; a tile by its area."""
    space = explored.space
    chosen = int(space.choice[design][space.axes.index(axis)])
    setting = axis.settings[chosen]
    if axis.name == TILE:
        return setting.number if setting.size is None else math.sqrt(setting.size[0] * setting.size[1]) / 128.0
    if not setting.absolute:
        return setting.number
    own = field_values(explored.gpu).get(axis.fields[0])
    return setting.number / own if own else math.nan


def _limits_chart(explored: Exploration) -> BarChart:
    """Time of the designs that the terminal shows, divided by what limits the layers."""
    rows, words = shown(explored)
    base_us = float(explored.base.time_us[0])
    longest = max([base_us, *(float(explored.figures.time_us[at]) for at in rows)])
    bars = [_bar("as it is", explored.base, 0, longest, "1.00×")]
    bars += [_bar(_name(explored, at), explored.figures, at, longest, f"{explored.speedups[at]:.2f}×") for at in rows]
    limits = [str(limit) for at in rows for limit in explored.shares(at)]
    limits = [*(str(limit) for limit in shares_of(explored.base, 0)), *limits]
    return BarChart(
        "limits", "What limits each design", words, tuple(bars), _limits_table(explored, rows), legend_of(limits)
    )


def _bar(name: str, found: Figures, at: int, longest_us: float, note: str) -> Bar:
    took = float(found.time_us[at])
    segments, x = [], 0.0
    for limit, share in shares_of(found, at).items():
        width = 100.0 * share * took / longest_us
        text = tip(name, f"{limit.value}: {figures.percent(share)} of {figures.time(took)}")
        segments.append(Segment(x, width, css_name(limit.value), text))
        x += width
    return Bar(name, figures.time(took), tuple(segments), note=note)


def _limits_table(explored: Exploration, rows: Sequence[int]) -> DataTable:
    names = list(dict.fromkeys(limit for at in rows for limit in explored.shares(at)))
    cells = ([figures.percent(explored.shares(at).get(n, 0.0)) for n in names] for at in rows)
    lines = tuple((_name(explored, at), *row) for at, row in zip(rows, cells, strict=True))
    return DataTable(("Design", *(n.value for n in names)), lines)


def _table(explored: Exploration) -> DataTable:
    costs, on_front = explored.costs, explored.on_front
    rows = []
    for at in (int(i) for i in explored.by_time[:_MOST_ROWS]):
        row = [
            _name(explored, at),
            _time(float(explored.figures.time_us[at]), float(explored.error_pcts[at])),
            f"{explored.speedups[at]:.2f}×",
        ]
        if costs is not None and on_front is not None:
            row += [figures.significant(float(costs[at]), figures.VIEW_DIGITS), "yes" if on_front[at] else ""]
        first = next(iter(explored.shares(at).items()))
        row += [f"{first[0].value} {figures.percent(first[1])}", figures.size(explored.figures.dram_bytes[at])]
        # A figure and its unit stay on one line, however many columns there are.
        rows.append((row[0], *(cell.replace(" ", "\N{NO-BREAK SPACE}") for cell in row[1:])))
    priced = ("Cost", "On the front") if costs is not None else ()
    return DataTable(("Design", "Time", "Speed-up", *priced, "Limited by", "DRAM"), tuple(rows))


def _name(explored: Exploration, at: int) -> str:
    return view(explored.space.name(int(explored.possible[at])), 100)


def _time(time_us: float, error_pct: float) -> str:
    return figures.time(time_us) if math.isnan(error_pct) else figures.time_with_error(time_us, error_pct)
