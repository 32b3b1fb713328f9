"""The widths worth having: the right edges of the steps, and those that no larger width beats."""

from __future__ import annotations

from collections.abc import Sequence

from headroom.change.widths.staircase.curve import Point, Staircase
from headroom.change.widths.staircase.steps import Interval


def efficiency(point: Point) -> float:
    """Utilisation x throughput, what equation 4 maximises; throughput alone where the utilisation is not known."""
    return point.tflops * (1.0 if point.utilisation is None else point.utilisation)


def candidates(staircase: Staircase, intervals: Sequence[Interval], most: int | None = None) -> tuple[Point, ...]:
    """The best width of each interval by equation 4, in order of width.

    The paper takes the m largest products of utilisation and throughput and shows one per stair (Figure 6). The m
    largest of a whole curve would all lie on its widest stair, so that each stair hands in its best: on a flat one that
    is its right edge. Of equals the wider counts.

    Args:
        most: how many at most; those with the largest products.
    """
    best = [
        max(
            (point for point in staircase.points if interval.first <= point.width <= interval.last),
            key=lambda point: (efficiency(point), point.width),
        )
        for interval in intervals
    ]
    kept = sorted(best, key=lambda point: (-efficiency(point), -point.width))[:most]
    return tuple(sorted(kept, key=lambda point: point.width))


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
