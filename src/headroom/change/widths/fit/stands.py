"""Where a layer stands on its staircase before and after: Figure 7 of the tail-effect paper."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headroom.change.widths.fit.space import TimedLayer
from headroom.change.widths.fit.times import Clock, Pair
from headroom.change.widths.staircase.curve import Point, Staircase
from headroom.change.widths.staircase.steps import Interval, find_intervals
from headroom.change.widths.staircase.table import usual_step

#: Points of a picture.
_MOST_POINTS = 64


@dataclass(frozen=True)
class Side:
    """A layer's staircase over its output widths at one input width, and its own place on it."""

    staircase: Staircase
    point: Point
    interval: Interval


@dataclass(frozen=True)
class Stand:
    """Before and after; the input width may have moved as well, and the staircase with it."""

    before: Side
    after: Side


def stand_of(timed: TimedLayer, widths: tuple[Pair, Pair], clock: Clock) -> Stand | None:
    """The staircases around both places; ``None`` for a layer without widths of its own."""
    if timed.wide is None:
        return None
    outs = _around(widths[0][1], widths[1][1], max(4, usual_step(clock.dtype)))
    before, after = (_side(timed, pair, outs, clock) for pair in widths)
    return Stand(before, after)


def _around(first: int, second: int, step: int) -> tuple[int, ...]:
    least, most = min(first, second) // 2, max(first, second) * 3 // 2
    while (most - least) / step > _MOST_POINTS:
        step *= 2
    return tuple(sorted({*range(max(1, least // step) * step, most + step, step), first, second}))


def _side(timed: TimedLayer, own: Pair, outs: tuple[int, ...], clock: Clock) -> Side:
    assert timed.wide is not None
    outs_of_own = {pair for pair in timed.points if pair[0] == own[0]}
    if timed.inputs.parts and timed.inputs.parts.keys() == timed.outputs.parts.keys():
        # Both ends move together: every pair is a width of its own.
        found = dict(timed.points)
    else:
        at = {(own[0], out): timed.wide.at(own[0], out) for out in outs}
        found = clock.points([(pair, layer) for pair, layer in at.items() if layer is not None])
        # Where the plan has a time it stands: it is scaled by everything that was measured of the layer.
        found |= {pair: timed.points[pair] for pair in outs_of_own}
    by_width = {pair[1]: replace(point, width=pair[1]) for pair, point in found.items()}
    staircase = Staircase(timed.name, "out", own[0], tuple(by_width[width] for width in sorted(by_width)))
    interval = next(each for each in find_intervals(staircase) if each.first <= own[1] <= each.last)
    return Side(staircase, timed.points[own], interval)
