"""Our kernels as programs that the stopwatch can time: of known duration, of known traffic, and one that is fatal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headroom.measure.kernels.launch import Launcher
from headroom.measure.kernels.registry import CONSTANTS

#: An address that no allocation has.
NOWHERE = np.uint64(0x10)

READ_THREADS = 512


@dataclass(frozen=True, slots=True)
class Told:
    """What a spinning kernel says of itself, per launch: its time by the GPU's own timer and by its SM's clock."""

    launches: int
    time_us: float
    clocks: float

    @property
    def clock_mhz(self) -> float:
        """The SM clock while it ran."""
        return self.clocks / self.time_us


class SpinProgram:
    """One thread that is busy for ``clocks`` SM clocks and keeps count of how long that took."""

    workspace_bytes = 0

    def __init__(self, launcher: Launcher, clocks: int) -> None:
        self._launcher = launcher
        self._clocks = np.uint64(clocks)
        self._totals = launcher.zeros(3)
        self.launch()  # loads the module, which must not happen inside a capture

    def launch(self) -> None:
        self._launcher.launch("spin", 1, 1, self._clocks, self._totals)

    def outputs(self) -> Sequence[Any]:
        return (self._totals,)

    def forget(self) -> None:
        """Start counting anew."""
        self._totals.zero_()

    def told(self) -> Told:
        """The averages over every launch since :meth:`forget`; waits for the GPU."""
        launches, clocks, time_ns = self._totals.tolist()
        return Told(launches, time_ns / launches / 1e3, clocks / launches)


class ReadProgram:
    """All SMs read about ``footprint_bytes`` once, past L1: its time depends on whether L2 holds them already."""

    workspace_bytes = 0

    def __init__(self, launcher: Launcher, footprint_bytes: int) -> None:
        self._launcher = launcher
        loads = footprint_bytes // 16
        # Every thread reads whole batches: on a GPU with little L2 and many SMs some SMs have nothing to do.
        self._grid = max(1, min(launcher.sms, loads // (READ_THREADS * CONSTANTS["LOADS"])))
        threads = self._grid * READ_THREADS
        self._batches = max(1, loads // (threads * CONSTANTS["LOADS"]))
        vectors = self._batches * threads * CONSTANTS["LOADS"]
        self.footprint_bytes = 16 * vectors
        self._data = launcher.torch.randint(
            -(2**31), 2**31, (vectors * 4,), dtype=launcher.torch.int32, device=launcher.device
        )
        self._sum = launcher.zeros(1, dtype=launcher.torch.int32)
        self._laps = launcher.zeros(2 * self._grid)
        self._arguments = (np.uint32(vectors), np.uint32(threads), np.uint32(self._batches), self._sum, self._laps)
        self.launch()

    def launch(self) -> None:
        self._launcher.launch("read_past_l1", self._grid, READ_THREADS, self._data, *self._arguments)

    def outputs(self) -> Sequence[Any]:
        return (self._sum,)

    def read_everything(self) -> bool:
        """Whether one launch adds every word of the footprint to its sum."""
        self._sum.zero_()
        self.launch()
        expected = int(self._data.sum(dtype=self._launcher.torch.int64)) % 2**32
        return int(self._sum) % 2**32 == expected


class IllegalProgram:
    """A kernel that writes to an address nobody owns: whatever follows in this process's context fails."""

    workspace_bytes = 0

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        launcher.prepare("write_to")

    def launch(self) -> None:
        self._launcher.launch("write_to", 1, 1, NOWHERE)

    def outputs(self) -> Sequence[Any]:
        return ()
