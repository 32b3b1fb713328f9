"""A reading that nothing disturbed: other processes compile meanwhile, and now and then load what they compiled."""

from __future__ import annotations

from collections.abc import Callable

from headroom.measure.bench import Reading
from headroom.measure.verdict import spread_of

#: A precise reading whose interquartile range is a larger share of its median was disturbed.
SPREAD = 0.02

ATTEMPTS = 3


def calmest(read: Callable[[], Reading]) -> Reading:
    """The first reading that is calm; if none of a few is, the one that spreads least."""
    readings = []
    for _ in range(ATTEMPTS):
        readings.append(read())
        if spread_of(readings[-1]) <= SPREAD:
            break
    return min(readings, key=spread_of)
