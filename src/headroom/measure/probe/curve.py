"""Curves of a quantity against footprint or traffic, and what they show: plateaus, their values, where they end."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

#: Largest value over smallest within a plateau.
FLATNESS = 1.12

#: Fewest points that make a plateau.
LEAST_POINTS = 3

#: How far towards the next level, as an exponent between the two, a curve may go before its level has ended.
EDGE_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of increasing ``x`` (in ``x_unit``) with values ``y`` (in ``y_unit``), all above zero."""

    name: str
    x_unit: str
    y_unit: str
    points: tuple[tuple[float, float], ...]

    @classmethod
    def from_json(cls, data: dict[str, object]) -> Curve:
        points = data["points"]
        assert isinstance(points, list)
        x_unit, y_unit = str(data["x_unit"]), str(data["y_unit"])
        return cls(str(data["name"]), x_unit, y_unit, tuple((float(x), float(y)) for x, y in points))


@dataclass(frozen=True, slots=True)
class Plateau:
    """A stretch of a curve, from ``first_x`` to ``last_x``, over which it hardly changes from ``value``."""

    first_x: float
    last_x: float
    value: float


def plateaus(curve: Curve) -> tuple[Plateau, ...]:
    """The flat stretches of a curve, in order: the longest is found first, then what is left on either side."""
    return tuple(
        Plateau(stretch[0][0], stretch[-1][0], statistics.median(y for _, y in stretch))
        for stretch in _flat_stretches(curve.points)
    )


def _flat_stretches(points: Sequence[tuple[float, float]]) -> list[Sequence[tuple[float, float]]]:
    best = (0, 0)
    start = 0
    for stop in range(1, len(points) + 1):
        while _unevenness(points[start:stop]) > FLATNESS:
            start += 1
        if stop - start > best[1] - best[0]:
            best = (start, stop)
    if best[1] - best[0] < LEAST_POINTS:
        return []
    return [*_flat_stretches(points[: best[0]]), points[best[0] : best[1]], *_flat_stretches(points[best[1] :])]


def _unevenness(points: Sequence[tuple[float, float]]) -> float:
    values = [y for _, y in points]
    return max(values) / min(values)


def value_at(curve: Curve, x: float) -> float:
    """The curve's level at ``x``: of the plateau there, or of the nearest point where it is not flat.

    Raises:
        ValueError: the curve has no points.
    """
    for plateau in plateaus(curve):
        if plateau.first_x <= x <= plateau.last_x:
            return plateau.value
    return min(curve.points, key=lambda point: abs(math.log(point[0] / x)))[1]


def edge(curve: Curve, level: float, following: float) -> float | None:
    """Where the curve leaves ``level`` on its way to ``following``, for example the size of a cache.

    Between two points the footprint is interpolated on logarithmic scales. ``None`` where it never leaves, or
    was never there.
    """
    if level == following:
        return None
    # Progress from 0 at one level to 1 at the next, whichever way the curve goes.
    progress = [(x, math.log(y / level) / math.log(following / level)) for x, y in curve.points]
    for (x0, p0), (x1, p1) in itertools.pairwise(progress):
        if p0 <= EDGE_SHARE < p1:
            share = (EDGE_SHARE - p0) / (p1 - p0)
            return float(x0 * (x1 / x0) ** share)
    return None


def two_groups(values: Sequence[float]) -> tuple[float, float] | None:
    """The medians of the lower and the upper group that ``values`` fall into, or ``None`` if they are one group.

    The split is the one that leaves least variance within the groups (Otsu's). They are two groups if each holds a
    tenth of the values and their means are further apart than three times the deviation within them. What lies
    furthest out, the lowest fiftieth and the highest twentieth (loads that met a refresh or a translation), is left
    out first.
    """
    ordered = sorted(values)
    ordered = ordered[len(ordered) // 50 : len(ordered) - len(ordered) // 20]
    least = max(2, len(ordered) // 10)
    if len(ordered) < 2 * least:
        return None
    sums = _Sums(ordered)
    cut = min(range(least, len(ordered) - least + 1), key=sums.spread_within)
    low, high = ordered[:cut], ordered[cut:]
    within = math.sqrt(sums.spread_within(cut) / len(ordered))
    if statistics.fmean(high) - statistics.fmean(low) <= 3 * within:
        return None
    return statistics.median(low), statistics.median(high)


class _Sums:
    """Running sums of values and of their squares."""

    def __init__(self, values: Sequence[float]) -> None:
        self._sums = [0.0, *itertools.accumulate(values)]
        self._squares = [0.0, *itertools.accumulate(value * value for value in values)]

    def spread_within(self, cut: int) -> float:
        """Sum of squared distances from their group's mean, if the values were cut at this index."""
        return self._spread(0, cut) + self._spread(cut, len(self._sums) - 1)

    def _spread(self, start: int, stop: int) -> float:
        total = self._sums[stop] - self._sums[start]
        return max(0.0, self._squares[stop] - self._squares[start] - total * total / (stop - start))


def footprints(smallest: int, largest: int, per_octave: int = 2) -> list[int]:
    """Sizes from ``smallest`` to ``largest`` bytes: powers of two and, for two per octave, one and a half times them.

    >>> footprints(4096, 16384)
    [4096, 6144, 8192, 12288, 16384]
    """
    sizes = []
    size = smallest
    while size <= largest:
        sizes += [size, *([size * 3 // 2] if per_octave == 2 and size * 3 // 2 <= largest else [])]
        size *= 2
    return sizes
