"""A GPU's own calibration in a terminal: what was fitted, and how much nearer it brings rows left out."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from headroom.predict.own.record import OwnCalibration
from headroom.predict.own.terms import Terms
from headroom.text import plain_line


def render_calibration(own: OwnCalibration, file: Path, console: Console) -> None:
    """One line per group: its rows, the mean error before and after on rows left out, and its terms."""
    console.print(Text(f"{own.gpu}: {plain_line(own.title, 200)}", style="bold"))
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    for title in ("kernels", "rows", "shared, %", "own, %", *Terms.names()):
        table.add_column(title, justify="left" if title == "kernels" else "right", no_wrap=True)
    for gain in own.gains:
        terms = own.terms.get(gain.group)
        moved = ["kept" if terms is None else f"{getattr(terms, name):.2f}" for name in Terms.names()]
        table.add_row(gain.group, str(gain.rows), f"{gain.before_pct:.1f}", f"{gain.after_pct:.1f}", *moved)
    console.print(table)
    console.print(
        Text(
            "Mean errors of rows that the fit had not seen, with the shared constants and with this GPU's own; the "
            "terms are factors on the time that the shared constants give. Kept: no nearer, so those stay.",
            style="dim",
        )
    )
    console.print(f"kept in {file}; headroom calibrate --forget deletes it", markup=False, soft_wrap=True)
