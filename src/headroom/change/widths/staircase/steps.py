"""Where a staircase is steady, where it grows or falls, and where it jumps.

The curve is cut into intervals, each a constant (*steady*) or a straight line over the width (*growing*, *falling*), so
that the sum of squared residuals in units of the noise, plus a price per interval, is least. The price is that of the
modified Bayesian information criterion (Zhang and Siegmund 2007): three times the logarithm of the number of points,
because the place of a cut is chosen among many, and once more for a slope. The minimum is exact (optimal partitioning,
Jackson et al. 2005), needs no monotone curve, and is the same every time. A point that stands alone (one kernel that
fits one width) costs two cuts and has to stand out by about five times its noise; a jump between long intervals shows
at one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from headroom.change.widths.staircase.curve import Floats, Staircase

Places = NDArray[np.intp]

#: Differences of a latency that nobody acts upon, in percent. A curve's noise is taken to be at least half of it.
RESOLUTION_PCT = 1.0

#: Two points lie on every line: only a third one says that it is one.
_SHORTEST_LINE = 3


class Trend(StrEnum):
    """What the latency does over an interval of widths."""

    STEADY = "steady"
    GROWING = "growing"
    FALLING = "falling"


@dataclass(frozen=True, slots=True)
class Interval:
    """Widths ``first`` to ``last`` that follow one line, from ``first_us`` to ``last_us`` (equal where steady)."""

    trend: Trend
    first: int
    last: int
    first_us: float
    last_us: float
    points: int


@dataclass(frozen=True, slots=True)
class Step:
    """A jump between two neighbouring widths that were looked at: from ``before_us`` at ``last`` to ``after_us`` at
    ``first``. ``last`` is the right edge of the step below."""

    last: int
    first: int
    before_us: float
    after_us: float

    @property
    def rise_pct(self) -> float:
        """Percent of the latency before; negative where the wider layer is faster."""
        return 100 * (self.after_us / self.before_us - 1)


def find_intervals(staircase: Staircase, resolution_pct: float = RESOLUTION_PCT) -> tuple[Interval, ...]:
    """The intervals of a staircase, in order; they cover every point.

    Args:
        resolution_pct: a change that is none, in percent of the latency; half of it is the least noise assumed.
    """
    sums = _Sums.of(staircase, resolution_pct)
    count = len(staircase.points)
    price = math.log(max(count, 2))
    best = np.zeros(count + 1)
    cut = np.zeros(count + 1, dtype=np.intp)
    for stop in range(1, count + 1):
        starts = np.arange(stop)
        steady = sums.steady_cost(starts, stop) + 3 * price
        sloped = sums.sloped_cost(starts, stop) + 4 * price
        costs = best[:stop] + np.minimum(steady, sloped)
        cut[stop] = np.argmin(costs)
        best[stop] = costs[cut[stop]]
    edges = [count]
    while edges[-1]:
        edges.append(int(cut[edges[-1]]))
    return tuple(sums.interval(start, stop, price, resolution_pct) for start, stop in pairwise(reversed(edges)))


def find_steps(intervals: tuple[Interval, ...], resolution_pct: float = RESOLUTION_PCT) -> tuple[Step, ...]:
    """The jumps between neighbouring intervals; where one goes over into the next there is none."""
    steps = (Step(left.last, right.first, left.last_us, right.first_us) for left, right in pairwise(intervals))
    return tuple(step for step in steps if abs(step.rise_pct) > resolution_pct)


@dataclass(frozen=True)
class _Sums:
    """Running sums over the points, from which the fit of any interval follows at once. Widths are relative to the
    mean, so that their squares do not swallow the differences."""

    widths: Floats
    origin: float
    weight: Floats
    x: Floats
    y: Floats
    xx: Floats
    xy: Floats
    yy: Floats

    @classmethod
    def of(cls, staircase: Staircase, resolution_pct: float) -> _Sums:
        y = staircase.latencies_us
        sigma = y * np.maximum(staircase.noise_pct, resolution_pct / 2) / 100
        origin = float(staircase.widths.mean())
        x, weight = staircase.widths - origin, sigma**-2.0
        terms = (weight, weight * x, weight * y, weight * x * x, weight * x * y, weight * y * y)
        return cls(staircase.widths, origin, *(np.concatenate(([0.0], np.cumsum(term))) for term in terms))

    def steady_cost(self, starts: Places, stop: int) -> Floats:
        """Squared residuals of the best constant over the points ``start`` to ``stop - 1``, per start."""
        weight, y, yy = (sums[stop] - sums[starts] for sums in (self.weight, self.y, self.yy))
        return np.asarray(np.maximum(yy - y * y / weight, 0.0))

    def sloped_cost(self, starts: Places, stop: int) -> Floats:
        """The same of the best line, infinite where there are too few points for one."""
        weight, x, y, xx, xy, yy = (sums[stop] - sums[starts] for sums in self._all)
        spread, shared = xx - x * x / weight, xy - x * y / weight
        with np.errstate(divide="ignore", invalid="ignore"):
            cost = yy - y * y / weight - shared * shared / spread
        return np.where(stop - starts >= _SHORTEST_LINE, np.maximum(cost, 0.0), math.inf)

    def interval(self, start: int, stop: int, price: float, resolution_pct: float) -> Interval:
        """What the points ``start`` to ``stop - 1`` are."""
        here = np.array([start])
        first, last = int(self.widths[start]), int(self.widths[stop - 1])
        weight, x, y, xx, xy, _ = (float(sums[stop] - sums[start]) for sums in self._all)
        level = y / weight
        if self.sloped_cost(here, stop)[0] + price < self.steady_cost(here, stop)[0]:
            slope = (xy - x * y / weight) / (xx - x * x / weight)
            ends = [level + slope * (width - self.origin - x / weight) for width in (first, last)]
            if abs(ends[1] / ends[0] - 1) > resolution_pct / 100:
                trend = Trend.GROWING if slope > 0 else Trend.FALLING
                return Interval(trend, first, last, ends[0], ends[1], stop - start)
        return Interval(Trend.STEADY, first, last, level, level, stop - start)

    @property
    def _all(self) -> tuple[Floats, ...]:
        return self.weight, self.x, self.y, self.xx, self.xy, self.yy
