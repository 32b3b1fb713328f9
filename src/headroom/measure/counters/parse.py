"""What ``ncu --csv --page raw`` prints: names, units, a line per kernel, and messages around them."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from headroom.measure.counters.metrics import METRICS, KernelCounts

#: Units that ``ncu`` writes, in bytes, per cent and nanoseconds. Decimal prefixes, as its documentation says.
_UNITS = {
    "": 1.0, "%": 1.0, "byte": 1.0, "Kbyte": 1e3, "Mbyte": 1e6, "Gbyte": 1e9, "Tbyte": 1e12,
    "nsecond": 1.0, "ns": 1.0, "usecond": 1e3, "us": 1e3, "msecond": 1e6, "ms": 1e6, "second": 1e9, "s": 1e9,
}  # fmt: skip

_KERNEL = "Kernel Name"


class CountersError(Exception):
    """``ncu`` did not count; the text is one sentence that says why and what to do."""


#: What ``ncu`` says where it may not or cannot count, and what to tell the user.
_REFUSALS = {
    "ERR_NVGPUCTRPERM": "this user may not read the GPU's counters (ERR_NVGPUCTRPERM); have the administrator load the "
    "driver with NVreg_RestrictProfilingToAdminUsers=0, or run with CAP_SYS_ADMIN",
    "ERR_NVGPUCTRUNAVAIL": "the GPU's counters are in use by another profiler (ERR_NVGPUCTRUNAVAIL); end it",
    "driver is not compatible": "the driver does not work with this ncu; install the Nsight Compute made for it",
    "not supported on this": "this ncu does not support the GPU; install a newer Nsight Compute",
    "Profiling is not supported": "profiling is not supported on this GPU or in this virtual machine",
}


def parse(text: str) -> list[KernelCounts]:
    """The kernels in the order in which they ran.

    Raises:
        CountersError: there is no table, because ``ncu`` could not count or nothing ran.
    """
    rows = list(csv.reader(_table(text)))
    if len(rows) < 2 or _KERNEL not in rows[0]:
        raise CountersError(refusal(text) or "ncu printed no counters")
    names, units = rows[0], rows[1]
    return [_kernel(names, units, row) for row in rows[2:] if len(row) == len(names)]


def refusal(text: str) -> str:
    """Why ``ncu`` did not count, from what it printed; empty where it does not complain."""
    for sign, sentence in _REFUSALS.items():
        if sign in text:
            return sentence
    complaint = next((line for line in text.splitlines() if line.startswith("==ERROR==")), "")
    return f"ncu says: {complaint.removeprefix('==ERROR==').strip()}" if complaint else ""


def _table(text: str) -> Iterator[str]:
    """The lines of the table: they alone begin with a quotation mark, from the line of names on."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith('"ID"'):
            yield line
            break
    yield from (line for line in lines if line.startswith('"'))


def _kernel(names: list[str], units: list[str], row: list[str]) -> KernelCounts:
    values = {}
    for name, unit, text in zip(names, units, row, strict=True):
        if name in METRICS and (value := _number(text)) is not None and unit in _UNITS:
            values[name] = value * _UNITS[unit]
    return KernelCounts(row[names.index(_KERNEL)], values)


def _number(text: str) -> float | None:
    """``1,234.5`` as a number; ``None`` for ``n/a``, which is a metric that this GPU does not have."""
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None
