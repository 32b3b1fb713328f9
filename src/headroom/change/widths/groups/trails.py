"""What each channel passed on its way through a run: channels with different trails do not change places."""

from __future__ import annotations

import numpy as np
from torch import Tensor

_MIX = np.uint64(0x9E3779B97F4A7C15)


class Trails:
    """A hash for each of ``count`` atoms of all that was put on its trail. Sums do not ask for the order."""

    def __init__(self, count: int) -> None:
        self._marks = np.zeros(count, dtype=np.uint64)
        self._steps = 0

    def step(self) -> int:
        """The number of the next operator."""
        self._steps += 1
        return self._steps

    def mark(self, atoms: Tensor, *what: int) -> None:
        """Put something on the trail of ``atoms``, of which none repeats."""
        value = _MIX
        for number in what:
            value = _mixed(value ^ np.uint64(number))
        with np.errstate(over="ignore"):
            self._marks[atoms.numpy()] += value

    def of(self, members: np.ndarray) -> int:
        """The trail of a channel that consists of these atoms."""
        return int(np.add.reduce(self._marks[members]))


def _mixed(value: np.uint64) -> np.uint64:
    """A well spread hash of one number (the finaliser of splitmix64)."""
    with np.errstate(over="ignore"):
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))
