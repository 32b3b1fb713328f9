"""Finding a staircase without measuring all of it: look where the prediction and the points so far say a step can be.

What a point is worth follows from what a width is chosen for: whoever needs ``w`` takes the width of ``w`` or more
that is fastest. Half of the budget is laid out over the whole range: a curve that is not monotone may dip anywhere. The
rest goes where two measured neighbours differ: somewhere between them is a step, or several, and until its place is
known a width between them is given away at the price of the wider one. The gap with most at stake (the change, as far
as the prediction does not explain it by small pieces, over more widths) is looked into next: at the foot of the step
that the prediction has there if it is large enough, else in the middle.

Widths are asked for several at a time, each of another gap and at most half of what is left, so that they can be
measured beside each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from headroom.change.widths.staircase.curve import Floats, Point, Staircase
from headroom.change.widths.staircase.interpolate import interpolated
from headroom.predict.prediction import Source

#: Share of the widths that are measured at most.
BUDGET_SHARE = 0.25

#: A choice within this of the best, in percent, is as good: nothing smaller is searched for.
TOLERANCE_PCT = 1.0

#: Share of the budget that is laid out over the whole range before gaps are looked into.
_SPREAD_SHARE = 0.5

#: Share of a change between two points that a predicted step has to be, to be where the change is looked for.
_EXPLAINS = 0.5

#: What is still at stake at a predicted step once its foot was seen where it was predicted.
_SEEN = 0.5

#: Libraries' tiles are multiples of this wide: the first widths to look at.
_TILE = 64


@dataclass(frozen=True)
class Found:
    """A staircase with some points measured and the others interpolated; ``measured`` in the order of measuring."""

    staircase: Staircase
    measured: tuple[int, ...]

    @property
    def share(self) -> float:
        """Measured points of all."""
        return len(self.measured) / len(self.staircase.points)


#: A search that says which widths it wants to know, and is sent the point at each; those without a time that counts
#: are left out.
Search = Generator[tuple[int, ...], Mapping[int, Point], Found]


def search(
    predicted: Staircase,
    measure: Callable[[int], Point | None],
    *,
    budget_share: float = BUDGET_SHARE,
    tolerance_pct: float = TOLERANCE_PCT,
) -> Found:
    """Measure a staircase at the widths of ``predicted`` as far as is needed, and interpolate the rest.

    Args:
        measure: the point at a width, or ``None`` where it has no time that counts; such a width counts as measured.
        budget_share, tolerance_pct: as of :func:`searching`.
    """
    asking = searching(predicted, budget_share=budget_share, tolerance_pct=tolerance_pct)
    try:
        wanted = next(asking)
        while True:
            points = ((width, measure(width)) for width in wanted)
            wanted = asking.send({width: point for width, point in points if point is not None})
    except StopIteration as end:
        found: Found = end.value
        return found


def searching(
    predicted: Staircase, *, budget_share: float = BUDGET_SHARE, tolerance_pct: float = TOLERANCE_PCT
) -> Search:
    """The search of :func:`search`, to be told what it wants to know by whoever measures several widths at once.

    Args:
        budget_share: most measurements, as a share of the widths; both ends are measured in any case.
        tolerance_pct: the search ends early where nothing larger than this can be found any more.
    """
    state = _Search(predicted, tolerance_pct / 100)
    budget = max(2, math.floor(budget_share * len(predicted.points)))
    places = state.spread(max(2, math.ceil(_SPREAD_SHARE * budget)))
    while places:
        state.tell(places, (yield tuple(int(predicted.widths[place]) for place in places)))
        left = budget - len(state.order)
        places = state.next(math.ceil(left / 2))
    return Found(state.staircase(), tuple(int(predicted.widths[index]) for index in state.order))


class _Search:
    """What is known so far; points are spoken of by their place in the prediction."""

    def __init__(self, predicted: Staircase, tolerance: float) -> None:
        self._predicted, self._tolerance = predicted, tolerance
        self._log = np.log(predicted.latencies_us)
        self._points: dict[int, Point] = {}
        self.order: list[int] = []

    def tell(self, places: Sequence[int], points: Mapping[int, Point]) -> None:
        """Take in what was found at ``places``, by width."""
        self.order += places
        found = ((place, points.get(int(self._predicted.widths[place]))) for place in places)
        self._points.update({place: point for place, point in found if point is not None})

    def spread(self, count: int) -> list[int]:
        """The first widths: both ends, then the tiles' multiples and the feet of predicted steps, each as far as
        possible from those chosen before."""
        widths, last = self._predicted.widths, len(self._log) - 1
        steps = np.append(np.diff(self._log) > self._tolerance, False)
        liked = np.where(widths % _TILE == 0, 1.0, 0.5) * np.where(steps, 1.0, 0.5)
        chosen = [0, last] if last else [0]
        while len(chosen) < min(count, len(widths)):
            far = np.min(np.abs(widths[:, None] - widths[chosen]), axis=1)
            chosen.append(int(np.argmax(far * liked)))
        return chosen

    def next(self, most: int) -> list[int]:
        """Where to look next, at most so many places; none where nothing is at stake any more."""
        known = sorted(self._points)
        if not known:
            return [i for i in range(len(self._log)) if i not in self.order][:most]
        gaps = (self._gap(left, right) for left, right in pairwise(known))
        at_stake = sorted((gap for gap in gaps if gap is not None and gap[0] > self._tolerance), reverse=True)
        return [place for _, place in at_stake[:most]]

    def _gap(self, left: int, right: int) -> tuple[float, int] | None:
        """What is at stake between two known points, and where to look; ``None`` where all is known."""
        inside = [i for i in range(left + 1, right) if i not in self.order]
        if not inside:
            return None
        change = abs(self._level(right) - self._level(left)) - self._noise(left, right)
        jumps = np.abs(np.diff(self._log[left : right + 1]))
        foot, jump = left + int(np.argmax(jumps)), float(np.max(jumps))
        unexplained = abs(self._ratio(right) - self._ratio(left))
        at_stake = min(change, max(unexplained, jump)) * math.sqrt(len(inside))
        if jump < _EXPLAINS * change:
            return at_stake, inside[len(inside) // 2]
        nearest = min(inside, key=lambda i: abs(i - foot))
        return at_stake * (1.0 if nearest == foot else _SEEN), nearest

    def _noise(self, left: int, right: int) -> float:
        return math.hypot(self._points[left].noise_pct, self._points[right].noise_pct) / 100

    def _level(self, index: int) -> float:
        return math.log(self._points[index].latency_us)

    def _ratio(self, index: int) -> float:
        return self._level(index) - float(self._log[index])

    def staircase(self) -> Staircase:
        """Every width, measured or interpolated."""
        return interpolated(self._predicted, {point.width: point for point in self._points.values()})


def chosen(staircase: Staircase, tolerance_pct: float = TOLERANCE_PCT) -> list[int]:
    """For each width of a staircase, as places in it, the one to take: the fastest that is no narrower.

    One that was not measured is taken only where it is better by more than the tolerance than the best measured one.
    """
    sure = np.array([point.source is not Source.INTERPOLATED for point in staircase.points])
    shown = staircase.latencies_us * np.where(sure, 1.0, 1 + tolerance_pct / 100)
    taken: list[int] = []
    best = len(shown) - 1
    for index in reversed(range(len(shown))):
        if shown[index] < shown[best]:
            best = index
        taken.append(best)
    return taken[::-1]


def regret_pct(found: Staircase, truth: Floats | Sequence[float]) -> Floats:
    """Per width, what the choice by ``found`` costs more than the best choice, in percent, at the true latencies."""
    latencies = np.asarray(truth, dtype=np.float64)
    best = np.minimum.accumulate(latencies[::-1])[::-1]
    return np.asarray(100 * (latencies[chosen(found)] / best - 1))
