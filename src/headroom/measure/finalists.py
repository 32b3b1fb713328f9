"""The fastest few implementations of a chain: they stay built, to be timed again with more care."""

from __future__ import annotations

from collections.abc import Iterable

from headroom.measure.bench import Check, Program
from headroom.store.rows import Implementation, Status, Timing
from headroom.store.steps import NEAR_BEST

#: At most this many are timed again, of those whose first, brief time is near the best.
FINALISTS = 4

Built = tuple[Program, Check]


class Finalists:
    """Programs of the fastest implementations so far. Whatever is slower is let go, and its memory with it."""

    def __init__(self) -> None:
        self._kept: dict[Implementation, tuple[float, Built]] = {}

    def offer(self, row: Timing, built: Built) -> None:
        """Keep what was just timed, if it is among the fastest."""
        if row.median_us is None:
            return
        self._kept[row.implementation] = row.median_us, built
        ranked = sorted(self._kept.items(), key=lambda item: item[1][0])
        self._kept = dict(ranked[:FINALISTS])

    def get(self, implementation: Implementation) -> Built | None:
        kept = self._kept.get(implementation)
        return kept and kept[1]

    def free(self) -> bool:
        """Let every program go; whether there was one."""
        had_any = bool(self._kept)
        self._kept.clear()
        return had_any


def fastest(rows: Iterable[Timing]) -> list[Implementation]:
    """Who is timed again, given the first, brief rows: those that were noisy or throttled get their second chance."""
    timed = sorted((row.median_us, index, row) for index, row in enumerate(rows) if row.median_us is not None)
    sound = [median_us for median_us, _, row in timed if row.status is Status.OK]
    most_us = NEAR_BEST * (sound or [median_us for median_us, _, _ in timed] or [0.0])[0]
    return [row.implementation for median_us, _, row in timed[:FINALISTS] if median_us <= most_us]


def shortest_us(rows: Iterable[Timing]) -> float:
    """The shortest time in ``rows``; infinite where there is none."""
    return min((row.median_us for row in rows if row.median_us is not None), default=float("inf"))
