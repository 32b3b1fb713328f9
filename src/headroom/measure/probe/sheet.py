"""A probe as a sheet in the format of the bundled ones, and beside one of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headroom.gpu import schema
from headroom.gpu.architecture import load_architecture
from headroom.gpu.describe import describe
from headroom.gpu.schema import Entry
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.measure.probe.result import TOLD_BY_DRIVER, Figure, Probe
from headroom.text import plain_line

#: Ways to the tensor cores; a data type's rate is that of the fastest.
_TENSOR_WAYS = ("wgmma_tflops", "mma_tflops", "library_tflops")

#: Characters of a source or note; a sheet's texts may have two thousand.
_LONGEST_TEXT = 500

#: Registers per thread, which no driver tells: the same on every compute capability since 3.5.
_REGISTERS_PER_THREAD = Entry(255, "CUDA C++ Programming Guide, technical specifications: since compute capability 3.5")


@dataclass(frozen=True, slots=True)
class Row:
    """A figure beside the bundled sheet's; ``difference`` is a share of the latter."""

    name: str
    unit: str
    measured: float
    shipped: float | None
    how: str

    @property
    def difference(self) -> float | None:
        return None if self.shipped is None else self.measured / self.shipped - 1


def fields(probe: Probe) -> dict[str, Figure]:
    """The figures that a sheet has a field for, under the field's name, tensor rates by their fastest way."""
    found = {figure.name: figure for figure in probe.figures if figure.name in schema.FIELDS}
    figures = {figure.name: figure for figure in probe.figures}
    for dtype in DataType:
        ways = [figures[f"{way}.{dtype}"] for way in _TENSOR_WAYS if f"{way}.{dtype}" in figures]
        if ways:
            found[f"tensor_tflops.{dtype}"] = max(ways, key=lambda figure: figure.value)
    fastest = found.get("tensor_tflops.bf16") or found.get("tensor_tflops.fp16")
    if fastest is not None and fastest.clock_mhz is not None:
        how = f"counted while the tensor cores were busy ({fastest.how})"
        found["tensor_clock_mhz"] = Figure("tensor_clock_mhz", fastest.clock_mhz, "MHz", how)
    return found


def beside(probe: Probe, shipped: GpuSpec | None) -> tuple[Row, ...]:
    """Every measured figure beside the bundled sheet's, in the order of the sheet, then those it has no field for."""
    known = {row.field: row.value for row in describe(shipped)} if shipped else {}
    measured = fields(probe)
    rows = [
        Row(name, schema.FIELDS[name].unit, measured[name].value, known.get(name), measured[name].how)
        for name in schema.FIELDS
        if name in measured
    ]
    others = (figure for figure in probe.figures if figure.name not in schema.FIELDS)
    return (*rows, *(Row(other.name, other.unit, other.value, None, other.how) for other in others))


def entries(probe: Probe, shipped: GpuSpec | None) -> dict[str, Entry]:
    """The sheet's fields with their sources: what was measured, then what the bundled sheet adds.

    For a GPU of an architecture that no file describes, the size of L1 is where its bandwidth ends.
    """
    by = f"headroom gpus probe, {probe.date}, driver {probe.driver or 'unknown'}"
    found = {name: Entry(_fitting(name, figure.value), _source(figure, by)) for name, figure in fields(probe).items()}
    if shipped is not None:
        for row in describe(shipped):
            found.setdefault(row.field, Entry(row.value, f"not measured; sheet {shipped.id}: {row.source}"))
    elif load_architecture(probe.compute_capability) is None:
        found.setdefault("registers_per_thread", _REGISTERS_PER_THREAD)
        edge = probe.values.get("l1_edge_bytes")
        if edge is not None:
            found.setdefault("l1_bytes_per_sm", Entry(round(edge), f"measured by {by}: where L1's bandwidth ends"))
    return found


def sheet_toml(probe: Probe, shipped: GpuSpec | None) -> str:
    """A sheet that ``--gpu FILE.toml`` accepts.

    Raises:
        UsageError: the figures contradict each other (a cache slower than what is behind it); it names the field.
    """
    found = entries(probe, shipped)
    _check_relations(found)
    lines = [
        f"# {plain_line(probe.gpu)}, measured by headroom gpus probe on {probe.date}"
        + (" (quick)" if probe.quick else ""),
        f"name = {_text(probe.gpu)}",
        f"compute_capability = {_text(probe.compute_capability)}",
    ]
    if probe.failures:
        notes = (f"    {_text(f'not measured: {name}: {why}')}," for name, why in probe.failures.items())
        lines += ["notes = [", *notes, "]"]
    return "\n".join([*lines, "", *_assignments(found)]) + "\n"


def _check_relations(found: Mapping[str, Entry]) -> None:
    values = {name: entry.value for name, entry in found.items()}
    if all(name in values for name in schema.REQUIRED):
        schema.check_relations("the measured sheet", values)


def _assignments(found: Mapping[str, Entry]) -> Iterable[str]:
    """Numbers in the schema's order, then a table per kind of unit."""
    plain = [name for name in schema.FIELDS if name in found and "." not in name]
    yield from (_assignment(name, name, found[name]) for name in plain)
    for unit in ("plain_tflops", "tensor_tflops"):
        rates = [name for name in schema.FIELDS if name in found and name.startswith(f"{unit}.")]
        if rates:
            yield from ("", f"[{unit}]")
            yield from (_assignment(name.partition(".")[2], name, found[name]) for name in rates)


def _assignment(key: str, name: str, entry: Entry) -> str:
    number = int(entry.value) if schema.FIELDS[name].whole else float(f"{entry.value:.6g}")
    return f"{key} = {{ value = {number}, source = {_text(entry.source)} }}"


def _fitting(name: str, value: float) -> float:
    return round(value) if schema.FIELDS[name].whole else value


def _source(figure: Figure, by: str) -> str:
    if figure.how == TOLD_BY_DRIVER:
        return f"{TOLD_BY_DRIVER}; {by}"
    at = "" if figure.clock_mhz is None else f", at {figure.clock_mhz:.0f} MHz"
    return f"measured by {by}: {figure.how}{at}"


def _text(text: str) -> str:
    """A TOML string: one printable line, for which JSON's escapes are TOML's too."""
    return json.dumps(plain_line(text, _LONGEST_TEXT), ensure_ascii=False)
