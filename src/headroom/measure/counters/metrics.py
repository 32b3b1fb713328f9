"""Which hardware counters are read, and what becomes of a layer's kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headroom.store.rows import Counters, Implementation

L1_BYTES = "l1tex__t_bytes.sum"
L2_BYTES = "lts__t_bytes.sum"
DRAM_BYTES = "dram__bytes.sum"
#: Warps in flight over those that an SM has room for, while it has any: the achieved occupancy, in per cent.
OCCUPANCY = "sm__warps_active.avg.pct_of_peak_sustained_active"
WAVES = "launch__waves_per_multiprocessor"
TIME = "gpu__time_duration.sum"

METRICS = (L1_BYTES, L2_BYTES, DRAM_BYTES, OCCUPANCY, WAVES, TIME)


@dataclass(frozen=True)
class KernelCounts:
    """A kernel that ``ncu`` saw. ``values`` holds the metrics that it could read, in bytes, per cent and one unit
    of time.
    """

    name: str
    values: Mapping[str, float]


def counters_of(implementation: Implementation, kernels: Sequence[KernelCounts]) -> Counters | None:
    """The traffic of all kernels of one run together, with occupancy and waves of the one that takes longest.

    ``None`` where there are no kernels, or this GPU does not count one of the metrics.
    """
    if not kernels or any(metric not in kernel.values for kernel in kernels for metric in METRICS):
        return None

    def total(metric: str) -> float:
        return sum(kernel.values[metric] for kernel in kernels)

    longest = max(kernels, key=lambda kernel: kernel.values[TIME]).values
    return Counters(
        implementation,
        l1_bytes=total(L1_BYTES),
        l2_bytes=total(L2_BYTES),
        dram_bytes=total(DRAM_BYTES),
        occupancy=longest[OCCUPANCY] / 100.0,
        waves=longest[WAVES],
    )
