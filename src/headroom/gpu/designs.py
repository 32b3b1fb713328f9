"""Many GPUs that differ from one in a few fields, as columns: what ``headroom explore`` varies.

A setting is a *factor* on what the field would otherwise be in that design, or a *value* that it has. A factor of 1
therefore never changes anything, and factors on a field that follows another (:mod:`.what_if`) come on top of what it
follows: ``sms`` x2 with ``plain_tflops`` x4 has eight times the arithmetic, four times per SM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headroom.errors import UsageError
from headroom.gpu.schema import FIELDS, NOT_ABOVE
from headroom.gpu.spec import GpuSpec, MemoryLevel
from headroom.gpu.what_if import LEADERS, Ratios, behind_l2, follow
from headroom.graph.tensor import DataType

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Settings:
    """What every design does to one field, arrays of shape (D,): a number, and whether it is the value itself."""

    numbers: Floats
    absolute: NDArray[np.bool_]


@dataclass(frozen=True)
class Sheets:
    """The sheets of many designs: ``columns`` holds an array of shape (D,) per field of the base's sheet.

    ``impossible`` maps the designs that no GPU can be (by index) to the reason.
    """

    base: GpuSpec
    columns: Mapping[str, Floats]
    impossible: Mapping[int, str]


def field_values(gpu: GpuSpec) -> dict[str, float]:
    """Every number of a sheet under its field's name, rates included."""
    values: dict[str, float] = {
        "sms": gpu.sms,
        "clock_mhz": gpu.clock_mhz,
        "memory_bytes": gpu.memory_bytes,
        "dram_peak_gbs": gpu.dram_peak_gbs,
        "l2_bytes": gpu.l2.size_bytes,
        "l1_bytes_per_sm": gpu.l1_bytes_per_sm,
        "launch_us": gpu.launch_us,
    }
    for name in ("dram", "l2", "l1", "shared"):
        level = getattr(gpu, name)
        values[f"{name}_bandwidth_gbs"], values[f"{name}_latency_ns"] = level.bandwidth_gbs, level.latency_ns
    for name in (
        "registers_per_sm", "registers_per_thread", "shared_bytes_per_sm", "shared_bytes_per_cta", "max_warps_per_sm",
        "max_ctas_per_sm",
    ):  # fmt: skip
        values[name] = getattr(gpu, name)
    for unit in ("plain_tflops", "tensor_tflops"):
        values.update({f"{unit}.{dtype}": rate for dtype, rate in getattr(gpu, unit).items()})
    return values


@np.errstate(over="ignore", invalid="ignore")  # what overflows is beyond every field's range, and named so
def sheets_of(base: GpuSpec, settings: Mapping[str, Settings], count: int) -> Sheets:
    """The sheets of ``count`` designs.

    Raises:
        UsageError: a field that a sheet of this GPU does not have, or a factor on a rate that the GPU lacks.
    """
    known = field_values(base)
    for name in settings:
        _check_field(name, settings[name], known, base)
    columns: dict[str, Floats] = {}
    for name in LEADERS:
        columns[name] = _settled(name, np.full(count, known[name]), settings)
    clock = columns["clock_mhz"] / known["clock_mhz"]
    peak = columns["dram_peak_gbs"] / known["dram_peak_gbs"]
    behind = behind_l2(known["dram_latency_ns"], known["l2_latency_ns"], columns["l2_latency_ns"])
    ratios = Ratios(columns["sms"] / known["sms"], clock, clock, peak, behind)
    for name in dict.fromkeys((*known, *settings)):
        if name not in columns:
            start = np.full(count, known.get(name, 0.0))
            columns[name] = _settled(name, start * follow(name, ratios)[0], settings)
    return Sheets(base, columns, _impossible(columns, [*LEADERS, *(n for n in columns if n not in LEADERS)]))


def design_of(sheets: Sheets, index: int) -> GpuSpec:
    """One design as a sheet of its own."""
    values: dict[str, float] = {}
    for name, column in sheets.columns.items():
        values[name] = int(column[index]) if FIELDS[name].whole else float(column[index])
    return _spec(values, sheets.base, GpuSpec)


def stack_of(sheets: Sheets, which: NDArray[np.intp], shape: tuple[int, ...]) -> GpuSpec:
    """Designs ``which`` as one sheet whose numbers are arrays; ``shape`` is theirs, as in ``(-1, 1)``."""
    return _spec({name: column[which].reshape(shape) for name, column in sheets.columns.items()}, sheets.base, GpuStack)


class GpuStack(GpuSpec):
    """A sheet whose numbers are arrays, one entry per design.

    Formulas that do nothing but arithmetic on a sheet's numbers answer for all designs at once. All designs of a stack
    multiply a data type on the same kind of unit.
    """

    def peak_tflops(self, dtype: DataType, *, tensor: bool = True) -> Any:
        plain = np.maximum(self.plain_tflops.get(dtype, 0.0), self.plain_tflops[DataType.FP32])
        return np.maximum(plain, self.tensor_tflops.get(dtype, 0.0)) if tensor else plain

    def rows(self, which: slice) -> GpuSpec:
        """The designs of some rows."""
        return GpuStack(**{field.name: _rows(getattr(self, field.name), which) for field in fields(self)})

    def multiplies_on_tensor_cores(self, dtype: DataType) -> bool:
        return bool(np.all(tensor_cores_win(self, dtype)))


def _rows(value: Any, which: slice) -> Any:
    """Some rows of a stack's field, whatever that holds."""
    if isinstance(value, np.ndarray):
        return value[which]
    if isinstance(value, MemoryLevel):
        return MemoryLevel(value.size_bytes[which], value.bandwidth_gbs[which], value.latency_ns[which])  # type: ignore[index]
    if isinstance(value, dict):
        return {key: _rows(part, which) for key, part in value.items()}
    return value


def tensor_cores_win(gpu: GpuSpec, dtype: DataType) -> NDArray[np.bool_]:
    """Per design of a stack, whether its tensor cores multiply ``dtype`` faster than its plain units."""
    return np.asarray(gpu.tensor_tflops.get(dtype, 0.0)) > np.asarray(gpu.plain_tflops.get(dtype, 0.0))


def _spec(values: Mapping[str, Any], base: GpuSpec, kind: type[GpuSpec]) -> GpuSpec:
    """``base`` with these numbers; they are scalars for a :class:`GpuSpec` and arrays for a :class:`GpuStack`."""
    parts = {f.name: getattr(base, f.name) for f in fields(base)}
    parts.update({name: value for name, value in values.items() if name in parts})
    sizes = {
        "dram": values["memory_bytes"],
        "l2": values["l2_bytes"],
        "l1": values["sms"] * values["l1_bytes_per_sm"],
        "shared": values["sms"] * values["shared_bytes_per_sm"],
    }
    for level, size in sizes.items():
        parts[level] = MemoryLevel(size, values[f"{level}_bandwidth_gbs"], values[f"{level}_latency_ns"])
    for unit in ("plain_tflops", "tensor_tflops"):
        rates = ((dtype, values.get(f"{unit}.{dtype}")) for dtype in DataType)
        parts[unit] = {dtype: rate for dtype, rate in rates if rate is not None}
    return kind(**parts)


def _check_field(name: str, setting: Settings, known: Mapping[str, float], base: GpuSpec) -> None:
    if name not in known and not setting.absolute.all():
        raise UsageError(f"{base.name} has no {name} to multiply; give its value, for example {name}=@100")


def _settled(name: str, otherwise: Floats, settings: Mapping[str, Settings]) -> Floats:
    """A field's values: those it would otherwise have, after its settings."""
    setting = settings.get(name)
    values = otherwise
    if setting is not None:
        values = np.where(setting.absolute, setting.numbers, otherwise * setting.numbers)
    return np.rint(values) if FIELDS[name].whole else values


def _impossible(columns: Mapping[str, Floats], names: Sequence[str]) -> dict[int, str]:
    reasons: dict[int, str] = {}
    for name in names:
        field, values = FIELDS[name], columns[name]
        for index in np.flatnonzero(~((values >= field.low) & (values <= field.high))):
            reasons.setdefault(int(index), f"{name} would be {values[index]:g}; expected {field.expected}")
    for smaller, larger in NOT_ABOVE:
        low, high = columns[smaller], columns[larger]
        for index in np.flatnonzero(low > high):
            sentence = f"{smaller} would be {low[index]:g}, above {larger} of {high[index]:g}"
            reasons.setdefault(int(index), sentence)
    return reasons
