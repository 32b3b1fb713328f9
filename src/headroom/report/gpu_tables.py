"""GPU sheets in a terminal: the list, and one with its sources."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from headroom import figures
from headroom.gpu.describe import describe
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType

_UNITS = {"bytes": ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))}


def render_gpu_list(specs: Sequence[GpuSpec], console: Console) -> None:
    """One line per GPU: what decides most questions, dense rates in TFLOPS."""
    table = _table("id", "architecture")
    for title in ("SMs", "MHz", "memory", "GB/s", "fp32", "fp16", "fp8"):
        table.add_column(title, justify="right", no_wrap=True)
    for spec in specs:
        rates = (_rate(spec, dtype) for dtype in (DataType.FP32, DataType.FP16, DataType.FP8))
        memory = _amount(spec.memory_bytes, "bytes")
        table.add_row(
            spec.id,
            spec.architecture,
            str(spec.sms),
            f"{spec.clock_mhz:.0f}",
            memory,
            f"{spec.dram_peak_gbs:.0f}",
            *rates,
        )
    console.print(table)
    console.print(Text("fp32, fp16, fp8: dense TFLOPS on the fastest unit.", style="dim"))


def render_gpu(spec: GpuSpec, console: Console) -> None:
    """Every figure of a sheet, its unit and where it comes from; derived ones are marked."""
    title = f"{spec.id}: {spec.name}, {spec.architecture}, compute capability {spec.compute_capability}"
    console.print(Text(title, style="bold"))
    table = _table("figure", "value", "source")
    for row in describe(spec):
        mark = "≈ " if row.derived else ""
        table.add_row(row.field, mark + _amount(row.value, row.unit), Text(row.source, style="dim"))
    console.print(table)
    console.print(Text("≈ follows from the stated rule; everything else is the source's own figure.", style="dim"))


def _table(*titles: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    for title in titles:
        table.add_column(title, no_wrap=title != "source", overflow="fold")
    return table


def _rate(spec: GpuSpec, dtype: DataType) -> str:
    if not spec.supports(dtype):
        return "-"
    tflops = spec.peak_tflops(dtype)
    return f"{tflops:.3g}" if tflops < 999.5 else f"{tflops:.0f}"


def _amount(value: float, unit: str) -> str:
    for factor, name in _UNITS.get(unit, ()):
        if value >= factor:
            return f"{value / factor:.4g} {name}"
    return f"{figures.significant(value, 4) if value % 1 else f'{value:,.0f}'} {unit}".rstrip()
