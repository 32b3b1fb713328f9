"""The steps of a run: windows of host time, as somebody marked them."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """One step's stretch of host time."""

    name: str
    start_us: float
    end_us: float


class Windows:
    """Windows in the order of their start; a moment belongs to the last one that has begun, unless it has ended."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self.all = sorted(windows, key=lambda window: window.start_us)
        self._starts_us = [window.start_us for window in self.all]

    def holding(self, moment_us: float) -> int | None:
        """Which window holds this moment."""
        index = bisect.bisect_right(self._starts_us, moment_us) - 1
        return index if index >= 0 and moment_us <= self.all[index].end_us else None
