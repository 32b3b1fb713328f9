"""A device and a gauge that do as they are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import torch

from headroom.measure.networks.device import Run


@dataclass
class Stage:
    """A device on which every inference takes the next of ``times_us`` and nothing has to be waited for."""

    times_us: Iterator[float] = field(default_factory=lambda: repeat(1000.0))
    runs: int = 0
    alive: bool = True
    torch: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def wall_us(self, run: Run, repeats: int) -> float:
        run()
        self.runs += repeats
        return next(self.times_us)

    def is_alive(self) -> bool:
        return self.alive

    def captured(self, run: Run) -> Run:
        return run

    def forget_peaks(self) -> None:
        pass

    def peak_bytes(self, *, reserved: bool) -> int | None:
        return 2048 if reserved else 1024


@dataclass
class Dial:
    """A gauge; each query takes the next of its readings."""

    clocks: Iterator[float] = field(default_factory=lambda: repeat(1980.0))
    energies: Iterator[float | None] = field(default_factory=lambda: repeat(None))
    mask: int | None = 0
    gpu_uuid: str = "GPU-stage"

    def sm_clock_mhz(self) -> float | None:
        return next(self.clocks)

    def memory_clock_mhz(self) -> float | None:
        return 3201.0

    def max_sm_clock_mhz(self) -> float | None:
        return 1980.0

    def clock_events(self) -> int | None:
        return self.mask

    def energy_mj(self) -> float | None:
        return next(self.energies)


def nothing() -> Any:
    """An inference."""
