"""What a sheet may say: each field's unit, kind and range, and the checks that tie fields together.

A sheet, bundled or a user's own, is a flat table of these fields. Ranges are wide enough for any GPU one could
imagine building and narrow enough to catch a wrong unit (MHz given in Hz, bytes in GB).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headroom.errors import UsageError
from headroom.graph.tensor import DataType
from headroom.text import plain_line


@dataclass(frozen=True, slots=True)
class Field:
    """One number of a sheet: its unit, whether it is a whole number, and the range it must lie in."""

    name: str
    unit: str
    low: float
    high: float
    whole: bool = False

    @property
    def expected(self) -> str:
        """The range in words, for error sentences."""
        bounds = f"{int(self.low)} to {int(self.high)}" if self.whole else f"{self.low:g} to {self.high:g}"
        return f"{bounds} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a sheet with where it comes from; ``derived`` when a rule of :mod:`rules` made it."""

    value: float
    source: str
    derived: bool = False


GIB = 2**30

_NUMBERS = (
    Field("sms", "", 1, 1024, whole=True),
    Field("clock_mhz", "MHz", 50, 10_000),
    Field("tensor_clock_mhz", "MHz", 50, 10_000),
    Field("memory_bytes", "bytes", GIB // 4, 4096 * GIB, whole=True),
    Field("dram_peak_gbs", "GB/s", 1, 1e5),
    Field("dram_bandwidth_gbs", "GB/s", 1, 1e5),
    Field("dram_latency_ns", "ns", 10, 1e4),
    Field("l2_bytes", "bytes", 16_384, 16 * GIB, whole=True),
    Field("l2_bandwidth_gbs", "GB/s", 1, 1e6),
    Field("l2_latency_ns", "ns", 5, 1e4),
    Field("l1_bytes_per_sm", "bytes", 1024, 2**26, whole=True),
    Field("l1_bandwidth_gbs", "GB/s", 1, 1e7),
    Field("l1_latency_ns", "ns", 1, 1e4),
    Field("shared_bytes_per_sm", "bytes", 1024, 2**26, whole=True),
    Field("shared_bytes_per_cta", "bytes", 1024, 2**26, whole=True),
    Field("shared_bandwidth_gbs", "GB/s", 1, 1e7),
    Field("shared_latency_ns", "ns", 1, 1e4),
    Field("registers_per_sm", "", 1024, 2**22, whole=True),
    Field("registers_per_thread", "", 16, 4096, whole=True),
    Field("max_warps_per_sm", "", 1, 1024, whole=True),
    Field("max_ctas_per_sm", "", 1, 1024, whole=True),
    Field("launch_us", "us", 0.01, 1000),
)  # fmt: skip
_RATES = tuple(
    Field(f"{unit}_tflops.{dtype.value}", "TFLOPS", 1e-4, 1e6) for unit in ("plain", "tensor") for dtype in DataType
)

#: Every number a sheet may state, by name.
FIELDS: Mapping[str, Field] = {field.name: field for field in (*_NUMBERS, *_RATES)}
#: Numbers that no complete sheet may lack; the tensor clock and most rates may be absent.
REQUIRED = (*(field.name for field in _NUMBERS if field.name != "tensor_clock_mhz"), "plain_tflops.fp32")
#: Texts and lists of texts a sheet may state.
TEXTS = frozenset({"name", "architecture", "compute_capability", "memory_type", "base"})
LISTS = frozenset({"driver_names", "aliases", "notes"})

#: Each field of a pair may not exceed the second: bandwidth falls and latency grows away from the SM.
NOT_ABOVE = (
    ("dram_bandwidth_gbs", "dram_peak_gbs"),
    ("dram_bandwidth_gbs", "l2_bandwidth_gbs"),
    ("l2_bandwidth_gbs", "l1_bandwidth_gbs"),
    ("l1_latency_ns", "l2_latency_ns"),
    ("l2_latency_ns", "dram_latency_ns"),
    ("shared_bytes_per_cta", "shared_bytes_per_sm"),
    ("l2_bytes", "memory_bytes"),
)


def check_number(where: str, field: Field, value: object) -> float:
    """``value`` as a number in the field's range.

    Raises:
        UsageError: not a number (a text, a truth value, a list), not finite, not whole where it must be, or
            out of range; the sentence names the field, what was found and what was expected.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad_value(where, field.name, value, f"a number, {field.expected}")
    if not field.low <= value <= field.high:  # also catches NaN
        raise bad_value(where, field.name, value, field.expected)
    if field.whole and value != int(value):
        raise bad_value(where, field.name, value, f"a whole number, {field.expected}")
    return int(value) if field.whole else float(value)


def check_text(where: str, name: str, value: object) -> str:
    """``value`` as one line of text, or a ``UsageError``."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > 2000:
        raise bad_value(where, name, value, "one line of text")
    return value


def check_complete(where: str, names: Iterable[str], compute_capability: str) -> None:
    """Refuse a sheet that lacks a required field which no rule could fill."""
    missing = [name for name in REQUIRED if name not in set(names)]
    if missing:
        raise UsageError(
            f"{where}: field '{missing[0]}' is missing; expected {FIELDS[missing[0]].expected}"
            f" (no rule fills it for compute capability {compute_capability})"
        )


def check_relations(where: str, values: Mapping[str, float]) -> None:
    """Refuse a sheet whose fields contradict each other (L1 slower than L2, more achieved than peak, …)."""
    for smaller, larger in NOT_ABOVE:
        if values[smaller] > values[larger]:
            shown = values[larger] if FIELDS[larger].whole else f"{values[larger]:g}"
            expected = f"at most {larger}, {shown} {FIELDS[larger].unit}"
            raise bad_value(where, smaller, values[smaller], expected)


def unknown_field(where: str, name: str) -> UsageError:
    """The error for a name that is no field, with the nearest right one."""
    shown = plain_line(name, 60)
    nearest = difflib.get_close_matches(shown, [*FIELDS, *sorted(TEXTS), *sorted(LISTS)], n=1, cutoff=0.0)
    return UsageError(f"{where}: unknown field '{shown}'; did you mean '{nearest[0]}'?")


def bad_value(where: str, name: str, value: object, expected: str) -> UsageError:
    """The error for a field with a wrong value."""
    return UsageError(f"{where}: field '{plain_line(name, 60)}' is {_found(value)}; expected {expected}")


def _found(value: object) -> str:
    """A stranger's value in a few words; what could be huge or deep is not spelled out."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 128 else "a number of over 128 bits"
    if isinstance(value, str):
        return f"the text '{plain_line(value, 60)}'"
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return f"a {type(value).__name__}"
