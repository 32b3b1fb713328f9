"""A reading that nothing disturbed: other processes compile meanwhile, and now and then load what they compiled."""

from __future__ import annotations

from collections.abc import Callable

from headroom.measure.bench import Reading
from headroom.measure.verdict import spread_of

#: A precise reading whose interquartile range is a larger share of its median was disturbed. A cold time is a small
#: difference of two that hold flushes: half of the H200's cold rows spread over 6 % or more, undisturbed.
SPREADS = {"warm": 0.02, "cold": 0.10}

ATTEMPTS = 3


def calmest(read: Callable[[], Reading], l2: str) -> Reading:
    """The first reading that is calm for the cache state ``l2``; if none of a few is, the one that spreads least."""
    readings = []
    for _ in range(ATTEMPTS):
        readings.append(read())
        if spread_of(readings[-1]) <= SPREADS[l2]:
            break
    return min(readings, key=spread_of)
