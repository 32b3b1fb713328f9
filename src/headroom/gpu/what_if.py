"""A GPU that differs from a known one in a few fields: what the rest become.

A user's sheet with ``base = "h200"`` states only what it changes, and so does a design of ``headroom explore``. The
SMs' own arithmetic, L1 and shared memory follow a changed SM count or clock in proportion, and achieved DRAM bandwidth
follows the peak; L2 and DRAM are separate machinery, so they stay until they are changed too. Only the latency of
DRAM moves with the L2's, by as many nanoseconds: a load asks the L2 first. That keeps each question a single change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.schema import Entry

_PER_SM_AND_CLOCK = ("plain_tflops.", "l1_bandwidth_gbs", "shared_bandwidth_gbs")
_CLOCKS = ("l1_latency_ns", "shared_latency_ns")

#: The fields that others follow.
LEADERS = ("sms", "clock_mhz", "dram_peak_gbs", "l2_latency_ns")

#: One number, or one per design.
Ratio = float | NDArray[np.float64]
_Number = TypeVar("_Number", float, NDArray[np.float64])


@dataclass(frozen=True, slots=True)
class Ratios:
    """How the fields that others follow changed, each over the base's value.

    ``dram_latency`` is what the change of the L2's latency makes of the DRAM's (:func:`behind_l2`).
    """

    sms: Ratio = 1.0
    clock: Ratio = 1.0
    tensor_clock: Ratio = 1.0
    dram_peak: Ratio = 1.0
    dram_latency: Ratio = 1.0


def behind_l2(dram_ns: float, l2_ns: float, l2_now_ns: _Number) -> _Number:
    """The factor on the latency of DRAM, ``dram_ns``, when that of the L2 is ``l2_now_ns`` instead of ``l2_ns``."""
    return 1.0 + (l2_now_ns - l2_ns) / dram_ns


def follow(name: str, ratios: Ratios) -> tuple[Ratio, str]:
    """The factor by which field ``name`` follows, and what it follows; 1 for a field that stands alone."""
    if name.startswith(_PER_SM_AND_CLOCK):
        return ratios.sms * ratios.clock, "SMs x clock"
    if name.startswith("tensor_tflops."):
        return ratios.sms * ratios.tensor_clock, "SMs x clock"
    if name == "tensor_clock_mhz":
        return ratios.clock, "the clock"
    if name in _CLOCKS:
        return 1 / ratios.clock, "the clock"
    if name == "dram_bandwidth_gbs":
        return ratios.dram_peak, "the peak"
    if name == "dram_latency_ns":
        return ratios.dram_latency, "the L2's latency"
    return 1.0, ""


def inherit(base: Mapping[str, Entry], changes: Mapping[str, Entry]) -> dict[str, Entry]:
    """``base``'s entries after ``changes``, each entry that follows one of them scaled and flagged as derived."""
    clock = tensor_clock = _ratio("clock_mhz", base, changes)
    if "tensor_clock_mhz" in changes:
        tensor_clock = changes["tensor_clock_mhz"].value / base.get("tensor_clock_mhz", base["clock_mhz"]).value
    peak, behind = _ratio("dram_peak_gbs", base, changes), 1.0
    if "l2_latency_ns" in changes and {"dram_latency_ns", "l2_latency_ns"} <= base.keys():
        latencies = (base["dram_latency_ns"], base["l2_latency_ns"], changes["l2_latency_ns"])
        behind = behind_l2(*(entry.value for entry in latencies))
    ratios = Ratios(_ratio("sms", base, changes), clock, tensor_clock, peak, behind)
    return {**{name: _scaled(entry, *follow(name, ratios)) for name, entry in base.items()}, **changes}


def _ratio(name: str, base: Mapping[str, Entry], changes: Mapping[str, Entry]) -> float:
    return changes[name].value / base[name].value if name in changes else 1.0


def _scaled(entry: Entry, factor: Ratio, cause: str) -> Entry:
    if factor == 1:
        return entry
    return Entry(entry.value * float(factor), f"rule: scaled by {cause}; {entry.source}", derived=True)
