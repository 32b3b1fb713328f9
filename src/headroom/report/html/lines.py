"""Lines over a common axis (a latency over batches, say): positions in percent, ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from headroom import figures
from headroom.advise.questions.answer import Lines
from headroom.report.cells import label_and_unit, number_text, titled
from headroom.report.html.charts import Curve, DataTable, Line, LineChart, Point, Tick, tip
from headroom.text import view

#: An axis whose largest value is this many times its smallest shows ratios, not differences.
_LOG_X_FROM, _LOG_Y_FROM = 8.0, 30.0

#: Colours that tell curves apart; further curves begin again, and their names in the tips tell.
COLOURS = 8

_POINT_RADIUS_PX = 4.0
_MOST_X_TICKS = 9

#: Percent of the axis that the label of a tick needs.
_TICK_DISTANCE = 5.0

#: Decades up to which an axis has ticks at 2 and 5 as well.
_FEW_DECADES = 2.5

#: What the logarithm of a round step may be off by.
_ROUNDING = 1e-9

#: Room above the highest point, so that no mark touches the frame.
_HEADROOM = 1.06


@dataclass(frozen=True, slots=True)
class _Axis:
    """From values to percent along the axis."""

    least: float
    most: float
    logarithmic: bool

    def at(self, value: float) -> float:
        low, high, here = (math.log(v) if self.logarithmic else v for v in (self.least, self.most, value))
        return 100 * (here - low) / (high - low) if high > low else 50.0


def line_chart(lines: Lines, key: str, *, even: bool = False) -> LineChart:
    """The chart of ``lines``. Points whose place is not finite are left out; a chart without any has no curve.

    Args:
        even: equal differences are equally far apart along the axis, however wide it is.
    """
    series = [(view(name, 60), _finite(points)) for name, points in lines.series]
    xs = sorted({x for _, points in series for x, _ in points})
    ys = [y for _, points in series for _, y in points]
    (x_label, x_unit), (y_label, y_unit) = label_and_unit(lines.x), label_and_unit(lines.y)
    across, up = _x_axis(xs, even=even), _y_axis(ys)

    def describe(name: str, x: float, y: float) -> str:
        return tip(name, f"{_number(y)} {y_unit}".rstrip(), f"{x_label} {_number(x)} {x_unit}".rstrip())

    legend = tuple((f"series-{at % COLOURS}", name) for at, (name, _) in enumerate(series))
    return LineChart(
        key=key,
        title=view(lines.title, 200),
        help="",
        x_title=titled(f"{x_label}, {x_unit}" if x_unit else x_label),
        y_title=titled(f"{y_label}, {y_unit}" if y_unit else y_label),
        curves=tuple(
            _curve(name, css, points, across, up, describe)
            for (css, _), (name, points) in zip(legend, series, strict=True)
            if points
        ),
        x_ticks=_apart([Tick(across.at(x), _number(x)) for x in _x_ticks(xs)]),
        y_ticks=_y_ticks(up) if ys else (),
        table=_table(titled(x_label), xs, series, y_unit),
        legend=legend if len(legend) > 1 else (),
    )


def _finite(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return sorted((x, y) for x, y in points if math.isfinite(x) and math.isfinite(y))


def _curve(
    name: str,
    css: str,
    points: Sequence[tuple[float, float]],
    across: _Axis,
    up: _Axis,
    describe: Callable[[str, float, float], str],
) -> Curve:
    places = [(across.at(x), 100 - up.at(y)) for x, y in points]
    pieces = tuple(Line(*start, *end, css) for start, end in pairwise(places))
    marks = tuple(
        Point(*place, _POINT_RADIUS_PX, css, describe(name, *point))
        for place, point in zip(places, points, strict=True)
    )
    return Curve(name, css, pieces, marks)


def _x_axis(xs: Sequence[float], *, even: bool) -> _Axis:
    least, most = (xs[0], xs[-1]) if xs else (0.0, 1.0)
    return _Axis(least, most, not even and least > 0 and most / least >= _LOG_X_FROM)


def _y_axis(ys: Sequence[float]) -> _Axis:
    """From zero, so that heights compare; in decades where zero would flatten the lower curves."""
    least, most = min(ys, default=0.0), max(ys, default=1.0)
    if least > 0 and most / least >= _LOG_Y_FROM:
        return _Axis(10.0 ** math.floor(math.log10(least)), most * _HEADROOM, True)
    return _Axis(min(least, 0.0), (most or 1.0) * _HEADROOM if most > 0 else 1.0, False)


def _x_ticks(xs: Sequence[float]) -> list[float]:
    """The values themselves: batches are few, and nothing was asked between them."""
    if len(xs) <= _MOST_X_TICKS:
        return list(xs)
    every = math.ceil((len(xs) - 1) / (_MOST_X_TICKS - 1))
    return list(xs[::every])


def _apart(ticks: Sequence[Tick]) -> tuple[Tick, ...]:
    """The ticks without those whose labels would lie on each other."""
    kept: list[Tick] = []
    for tick in ticks:
        if not kept or tick.at - kept[-1].at >= _TICK_DISTANCE:
            kept.append(tick)
    return tuple(kept)


def _y_ticks(axis: _Axis) -> tuple[Tick, ...]:
    values, step = _round_values(axis)
    decimals = max(0, -math.floor(math.log10(step) + _ROUNDING))
    # A step decides the digits of a straight axis; in decades each value has its own.
    texts = (_number(value) if axis.logarithmic else f"{value:,.{decimals}f}" for value in values)
    return tuple(Tick(100 - axis.at(value), text) for value, text in zip(values, texts, strict=True))


def _round_values(axis: _Axis) -> tuple[list[float], float]:
    """Round values along the axis, and the distance between them (of the lowest two in decades)."""
    if axis.logarithmic:
        decades = math.log10(axis.most / axis.least)
        first, last = math.floor(math.log10(axis.least)), math.floor(math.log10(axis.most))
        factors = (1, 2, 5) if decades <= _FEW_DECADES else (1,)
        values = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
        return [value for value in values if axis.least <= value <= axis.most], 10.0**first
    span = axis.most - axis.least
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = max(power * factor for factor in (1, 2, 5) if power * factor <= span / 4)
    first, last = math.ceil(axis.least / step), math.floor(axis.most / step)
    return [step * position for position in range(first, last + 1)], step


def _number(value: float) -> str:
    return number_text(round(value)) if value == round(value) else figures.significant(value, figures.VIEW_DIGITS)


def _table(
    x_label: str, xs: Sequence[float], series: Sequence[tuple[str, list[tuple[float, float]]]], y_unit: str
) -> DataTable:
    """A row per place on the axis, a column per curve."""
    at = [dict(points) for _, points in series]
    rows = tuple((_number(x), *(_number(ys[x]) if x in ys else figures.NOTHING for ys in at)) for x in xs)
    names = (f"{name}, {y_unit}" if y_unit else name for name, _ in series)
    return DataTable((x_label, *names), rows)
