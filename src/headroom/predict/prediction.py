"""The answer of the theory for one layer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Source(StrEnum):
    """Where a figure comes from. A guess is called a guess."""

    MEASURED = "measured"
    INTERPOLATED = "interpolated"
    PREDICTED = "predicted"
    UNKNOWN = "unknown"


class Bottleneck(StrEnum):
    """What limits a layer."""

    COMPUTE = "compute"
    SHARED = "shared memory"
    L1 = "L1 bandwidth"
    L2 = "L2 bandwidth"
    DRAM = "DRAM bandwidth"
    LATENCY = "latency"
    LAUNCH = "launch"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Prediction:
    """Time and traffic of one layer on one GPU.

    ``time_us`` is ``None`` only for an unknown layer. ``error_pct`` is the half-width, in percent of
    ``time_us``, inside which nine of ten measured layers like this one fall. ``floor_us`` is the layer's
    speed of light, never above ``time_us``. Traffic is in bytes loaded and stored at each level; ``tile`` is
    (m, n, k) of the CTA tile, ``ctas`` its grid, ``waves`` grid over the CTAs that fit at once (a
    fraction), ``tail_utilization`` the mean share of busy SMs over all waves, the last one included.
    ``algorithm`` names the implementation that the time stands for; ``notes`` are sentences for the user.
    """

    time_us: float | None
    error_pct: float | None
    source: Source
    bottleneck: Bottleneck
    floor_us: float
    l1_bytes: float = 0.0
    l2_bytes: float = 0.0
    dram_bytes: float = 0.0
    algorithm: str = ""
    tile: tuple[int, int, int] | None = None
    ctas: int | None = None
    waves: float | None = None
    tail_utilization: float | None = None
    notes: tuple[str, ...] = ()
