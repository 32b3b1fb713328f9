"""A sheet as rows to show: every figure with its unit, its source and whether a rule derived it."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.gpu.schema import FIELDS
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One figure of a sheet."""

    field: str
    value: float
    unit: str
    source: str
    derived: bool


def describe(spec: GpuSpec) -> tuple[FieldRow, ...]:
    """The figures of a sheet, in the order of :data:`headroom.gpu.schema.FIELDS`, absent data types left out."""
    values = _values(spec)
    return tuple(
        FieldRow(name, values[name], field.unit, spec.sources.get(name, "unknown"), name in spec.derived)
        for name, field in FIELDS.items()
        if name in values
    )


def _values(spec: GpuSpec) -> dict[str, float]:
    """The sheet's field names to the values of ``spec``."""
    own_names = (
        "sms", "clock_mhz", "memory_bytes", "dram_peak_gbs", "registers_per_sm", "registers_per_thread",
        "shared_bytes_per_sm", "shared_bytes_per_cta", "max_warps_per_sm", "max_ctas_per_sm", "launch_us",
    )  # fmt: skip
    values: dict[str, float] = {name: getattr(spec, name) for name in own_names}
    values["l1_bytes_per_sm"] = spec.l1_bytes_per_sm
    values["l2_bytes"] = spec.l2.size_bytes
    for name in ("dram", "l2", "l1", "shared"):
        level = getattr(spec, name)
        values[f"{name}_bandwidth_gbs"] = level.bandwidth_gbs
        values[f"{name}_latency_ns"] = level.latency_ns
    for dtype in DataType:
        for unit, rates in (("plain", spec.plain_tflops), ("tensor", spec.tensor_tflops)):
            if dtype in rates:
                values[f"{unit}_tflops.{dtype.value}"] = rates[dtype]
    return values
