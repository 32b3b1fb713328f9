"""The widths worth having: the right edges of the steps, and those that no larger width beats."""

from __future__ import annotations

from collections.abc import Sequence

from headroom.change.widths.staircase.curve import Point, Staircase
from headroom.change.widths.staircase.steps import Interval
from headroom.predict.prediction import Source


def efficiencies(points: Sequence[Point]) -> list[float]:
    """Utilisation x throughput of each point, what equation 4 maximises.

    Throughput alone where a utilisation is missing, or where some are those of measured kernels and others of the
    theory's: the two do not compare.
    """
    origins = {point.source is Source.MEASURED for point in points}
    if len(origins) > 1 or any(point.utilisation is None for point in points):
        return [point.tflops for point in points]
    return [point.tflops * (point.utilisation or 0.0) for point in points]


def candidates(staircase: Staircase, intervals: Sequence[Interval], most: int | None = None) -> tuple[Point, ...]:
    """The best width of each interval by equation 4, in order of width.

    The paper takes the m largest products of utilisation and throughput and shows one per stair (Figure 6). The m
    largest of a whole curve would all lie on its widest stair, so that each stair hands in its best: on a flat one that
    is its right edge. Of equals the wider counts.

    Args:
        most: how many at most; those with the largest products.
    """
    best = [_best(staircase, interval) for interval in intervals]
    ranked = sorted(zip(efficiencies(best), best, strict=True), key=lambda pair: (-pair[0], -pair[1].width))
    return tuple(sorted((point for _, point in ranked[:most]), key=lambda point: point.width))


def _best(staircase: Staircase, interval: Interval) -> Point:
    points = [point for point in staircase.points if interval.first <= point.width <= interval.last]
    return max(zip(efficiencies(points), points, strict=True), key=lambda pair: (pair[0], pair[1].width))[1]


def dominating(points: Sequence[Point], tolerance_pct: float = 0.0) -> tuple[Point, ...]:
    """The points that no wider one beats, in order of width.

    A wider layer beats a narrower one if it takes no longer: whatever the narrower layer computes, the wider one can
    compute beside more. Curves are not monotone, so that this is not the same as the right edges.

    Args:
        tolerance_pct: what a narrower layer has to save to be worth keeping, in percent of the wider one's latency.
    """
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: -point.width):
        if not kept or point.latency_us < kept[-1].latency_us * (1 - tolerance_pct / 100):
            kept.append(point)
    return tuple(reversed(kept))
