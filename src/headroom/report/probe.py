"""A probe in a terminal, beside the sheet that Headroom knows, and as JSON with its curves."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from headroom import figures
from headroom.gpu.spec import GpuSpec
from headroom.measure.probe.curve import plateaus
from headroom.measure.probe.result import Probe
from headroom.measure.probe.sheet import Row, beside
from headroom.text import plain_line

#: Share by which a measured figure may differ from the sheet before it is marked.
_NOTABLE = 0.10


def render_probe(probe: Probe, shipped: GpuSpec | None, console: Console) -> None:
    """A line per figure: measured, the sheet's, by how much they differ; then what failed and why."""
    title = f"{plain_line(probe.gpu)}, compute capability {plain_line(probe.compute_capability)}, {probe.seconds:.0f} s"
    console.print(Text(title, style="bold"))
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("figure", no_wrap=True)
    for heading in ("measured", shipped.id if shipped else "sheet", "differs by"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in beside(probe, shipped):
        table.add_row(
            row.name, _amount(row.measured, row.unit), _amount(row.shipped, row.unit), _difference(row)
        )  # fmt: skip
    console.print(table)
    for name, reason in probe.failures.items():
        console.print(Text(f"not measured: {plain_line(name)}: {plain_line(reason)}", style="yellow"))


def probe_json(probe: Probe, shipped: GpuSpec | None) -> str:
    """Figures, curves with their plateaus, failures, and the rows of the table."""
    rows = [{**asdict(row), "difference": row.difference} for row in beside(probe, shipped)]
    flat = {curve.name: [asdict(plateau) for plateau in plateaus(curve)] for curve in probe.curves}
    answer = {**probe.to_json(), "plateaus": flat, "sheet": shipped.id if shipped else None, "rows": rows}
    return json.dumps(answer, indent=1) + "\n"


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return figures.NOTHING
    if unit == "bytes":
        return figures.capacity(value)
    return f"{figures.significant(value, 4) if value % 1 else f'{value:,.0f}'} {unit}".rstrip()


def _difference(row: Row) -> Text:
    if row.difference is None:
        return Text(figures.NOTHING, style="dim")
    return Text(f"{100 * row.difference:+.1f} %", style="yellow" if abs(row.difference) > _NOTABLE else "")
