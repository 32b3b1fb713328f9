"""Putting a chain together from the parts that have a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headroom.predict.prediction import Source


@dataclass(frozen=True, slots=True)
class Part:
    """Layers ``start`` to ``stop`` of a chain, run one way. ``implementation`` is told where it was measured fused."""

    start: int
    stop: int
    time_us: float
    error_pct: float
    source: Source
    implementation: str = ""


def cheapest(parts: Iterable[Part], length: int) -> tuple[Part, ...]:
    """The parts that cover a chain of ``length`` layers, each layer once, in the least time.

    Each single layer must be among ``parts``, so that there always is an answer, and none above their sum. Of two
    ways that take as long, the one whose last part came first in ``parts`` is taken.
    """
    ending: dict[int, list[Part]] = {}
    for part in parts:
        ending.setdefault(part.stop, []).append(part)
    least_us = [0.0] * (length + 1)
    chosen: list[tuple[Part, ...]] = [()] * (length + 1)
    for stop in range(1, length + 1):
        last = min(ending[stop], key=lambda part: least_us[part.start] + part.time_us)
        least_us[stop] = least_us[last.start] + last.time_us
        chosen[stop] = (*chosen[last.start], last)
    return chosen[length]
