"""A GPU that differs from a known one in a few fields: what the rest become.

A user's sheet with ``base = "h200"`` states only what it changes. The SMs' own arithmetic, L1 and shared memory follow
a changed SM count or clock in proportion, and achieved DRAM bandwidth follows the peak; L2 and DRAM are separate
machinery, so they stay until the sheet changes them too. That keeps each question a single change.
"""

from __future__ import annotations

from collections.abc import Mapping

from headroom.gpu.schema import Entry

_PER_SM_AND_CLOCK = ("plain_tflops.", "l1_bandwidth_gbs", "shared_bandwidth_gbs")
_CLOCKS = ("l1_latency_ns", "shared_latency_ns")


def inherit(base: Mapping[str, Entry], changes: Mapping[str, Entry]) -> dict[str, Entry]:
    """``base``'s entries after ``changes``, each entry that follows one of them scaled and flagged as derived."""
    clock = _ratio("clock_mhz", base, changes)
    sms = _ratio("sms", base, changes)
    tensor_clock = clock
    if "tensor_clock_mhz" in changes:
        tensor_clock = changes["tensor_clock_mhz"].value / base.get("tensor_clock_mhz", base["clock_mhz"]).value
    peak = _ratio("dram_peak_gbs", base, changes)
    inherited = dict(base)
    for name, entry in base.items():
        if name.startswith(_PER_SM_AND_CLOCK):
            inherited[name] = _scaled(entry, sms * clock, "SMs x clock")
        elif name.startswith("tensor_tflops."):
            inherited[name] = _scaled(entry, sms * tensor_clock, "SMs x clock")
        elif name == "tensor_clock_mhz":
            inherited[name] = _scaled(entry, clock, "the clock")
        elif name in _CLOCKS:
            inherited[name] = _scaled(entry, 1 / clock, "the clock")
        elif name == "dram_bandwidth_gbs":
            inherited[name] = _scaled(entry, peak, "the peak")
    return {**inherited, **changes}


def _ratio(name: str, base: Mapping[str, Entry], changes: Mapping[str, Entry]) -> float:
    return changes[name].value / base[name].value if name in changes else 1.0


def _scaled(entry: Entry, factor: float, cause: str) -> Entry:
    if factor == 1:
        return entry
    return Entry(entry.value * factor, f"rule: scaled by {cause}; {entry.source}", derived=True)
