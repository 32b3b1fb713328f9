"""Widths worth trying for each group: what no wider one beats on the group's own staircase, beside round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headroom.change.widths.fit.network import Network, WideLayer
from headroom.change.widths.fit.riders import Rider
from headroom.change.widths.fit.sums import MOST_SUMS, totals
from headroom.change.widths.fit.times import Clock
from headroom.change.widths.solve.problem import Width
from headroom.change.widths.staircase.candidates import dominating
from headroom.change.widths.staircase.curve import Point
from headroom.change.widths.staircase.steps import RESOLUTION_PCT
from headroom.change.widths.staircase.table import usual_step
from headroom.predict.prediction import Source

if TYPE_CHECKING:
    from headroom.change.widths.groups.group import WidthGroup

#: Multiples that pruners round widths to; each group can take the next of each.
ROUNDED = (8, 16, 32, 64)

#: Points of a group's staircase, and candidates that it keeps: those that take least.
_MOST_POINTS, _MOST_CANDIDATES = 96, 16

#: From what is known best to what is known least.
_DOUBT = tuple(Source)

#: Widths lie at least this far apart where a data type feeds no tensor cores.
_PLAIN_STEP = 4


@dataclass(frozen=True)
class Bounds:
    """How narrow and how wide groups may become, as shares of their width; where they may grow at all, always up to the
    next multiple of ``rounded``. What is to be trained grows less: a prediction that takes 8 channels to last as long
    as 64 would make another network of it."""

    least: float = 1.0
    most: float = 1.25
    rounded: int = max(ROUNDED)

    def widths(self, group: WidthGroup, ceiling: int | None = None) -> tuple[int, int]:
        """The narrowest and the widest; up to ``ceiling`` and no further, where there is one."""
        most = math.floor(self.most * group.width)
        if self.most > 1:
            most = max(most, _up(group.width, self.rounded))
        if ceiling is not None:
            most = max(group.width, ceiling)
        return max(1, math.ceil(self.least * group.width)), most


def candidates_of(
    network: Network, riders: Sequence[Rider], clock: Clock, bounds: Bounds
) -> dict[str, tuple[int, ...]]:
    """The widths to choose from of every group that may move, ascending; the present one is among them."""
    found = {}
    for group in network.free:
        curve = staircase_of(group, network, riders, clock, bounds)
        known = {point.width for point in curve}
        kept = {group.width, *(_up(group.width, multiple) for multiple in ROUNDED)} & known
        unbeaten = sorted(dominating(curve, RESOLUTION_PCT), key=lambda point: point.latency_us)
        kept.update(point.width for point in unbeaten[:_MOST_CANDIDATES])
        found[group.name] = tuple(sorted(kept))
    return found


def staircase_of(
    group: WidthGroup, network: Network, riders: Sequence[Rider], clock: Clock, bounds: Bounds
) -> tuple[Point, ...]:
    """What all layers that follow ``group`` take together at each of its widths, the other groups as they are."""
    widths = _grid(group, network, clock, bounds)
    touched = [each for each in network.layers if group.name in each.groups]
    ridden = [each for each in riders if group.name in each.width.parts]
    curves = [_curve(each, group, network, clock, widths) for each in touched]
    curves += [_rider_curve(each, group, network, clock, widths) for each in ridden]
    return tuple(
        summed(width, [curve[width] for curve in curves]) for width in widths if all(width in curve for curve in curves)
    )


def summed(width: int, points: Sequence[Point]) -> Point:
    """Layers one after the other as one point. They err together, so that their error bars add up."""
    total_us = sum(point.latency_us for point in points)
    return Point(
        width=width,
        latency_us=total_us,
        flops=sum(point.flops for point in points),
        source=max((point.source for point in points), key=_DOUBT.index),
        error_pct=sum(point.error_pct * point.latency_us for point in points) / total_us,
    )


def _curve(
    wide: WideLayer, group: WidthGroup, network: Network, clock: Clock, widths: Sequence[int]
) -> dict[int, Point]:
    pairs = {}
    for width in widths:
        at = {**network.widths, group.name: width}
        pairs[width] = (wide.inputs.at(at), wide.outputs.at(at))
    layers = {pair: wide.at(*pair) for pair in dict.fromkeys(pairs.values())}
    points = clock.points([(pair, layer) for pair, layer in layers.items() if layer is not None])
    return {width: points[pair] for width, pair in pairs.items() if pair in points}


def _rider_curve(
    rider: Rider, group: WidthGroup, network: Network, clock: Clock, widths: Sequence[int]
) -> dict[int, Point]:
    totals = {width: rider.width.at({**network.widths, group.name: width}) for width in widths}
    points = clock.points([((total, total), rider.at(total)) for total in dict.fromkeys(totals.values())])
    return {width: points[total, total] for width, total in totals.items() if (total, total) in points}


def _grid(group: WidthGroup, network: Network, clock: Clock, bounds: Bounds) -> tuple[int, ...]:
    """Widths that the group can have and that make round widths of it or of a layer that it is a part of."""
    least, most = bounds.widths(group, network.ceilings.get(group.name))
    step = max(usual_step(clock.dtype), _PLAIN_STEP)
    while (most - least) / step > _MOST_POINTS:
        step *= 2
    found = set(range(_up(least, step), most + 1, step))
    for offset in {each % step for each in _other_parts(group, network)} - {0}:
        found |= {width - offset for width in range(_up(least + offset, step), most + offset + 1, step)}
    found |= set(_round_ones(group, network, bounds))
    return tuple(sorted({width for width in found if least <= width <= most and group.allows(width)} | {group.width}))


def _round_ones(group: WidthGroup, network: Network, bounds: Bounds) -> Iterator[int]:
    """The next multiples of the group itself, and of the layers that it is a part of."""
    least, most = bounds.widths(group, network.ceilings.get(group.name))
    for multiple in ROUNDED:
        for other in {0, *_other_parts(group, network)}:
            up = _up(group.width + other, multiple) - other
            yield from (width for width in (up, up - multiple) if least <= width <= most)


def _other_parts(group: WidthGroup, network: Network) -> Iterator[int]:
    """What other groups and fixed channels add to widths that this group is a part of."""
    for each in network.layers:
        for width in (each.inputs, each.outputs):
            if width.parts.get(group.name) == 1:
                yield width.at(network.widths) - group.width


def thinned(network: Network, riders: Iterable[Rider], choices: Mapping[str, tuple[int, ...]]) -> tuple[
    dict[str, tuple[int, ...]], dict[str, str]
]:  # fmt: skip
    """Fewer choices where many groups add up to one width, whose sums would be more than tables can hold.

    Returns:
        the choices, and the reason for each group that keeps its present width.
    """
    left = dict(choices)
    held: dict[str, str] = {}
    for name, width in _ends(network, riders):
        while len(totals(width, left)) > MOST_SUMS:
            widest = max(width.parts, key=lambda part: len(left[part]))
            own = network.groups[widest].width
            fewer = [choice for choice in left[widest] if choice != own][::2] if len(left[widest]) > 2 else []
            left[widest] = tuple(sorted({own, *fewer}))
            if not fewer:
                held[widest] = f"too many widths add up in {name}; the others are chosen first"
    return left, held


def _ends(network: Network, riders: Iterable[Rider]) -> Iterator[tuple[str, Width]]:
    for each in network.layers:
        yield each.name, each.inputs
        yield each.name, each.outputs
    for rider in riders:
        yield rider.layer.name, rider.width


def _up(width: int, multiple: int) -> int:
    return -(-width // multiple) * multiple
