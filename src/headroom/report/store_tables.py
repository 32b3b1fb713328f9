"""The performance database in a terminal: its systems, one of them, and the rows of one chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from headroom import figures
from headroom.graph.tensor import DataType
from headroom.store.rows import NetworkTiming, Status, System, Timing
from headroom.store.summaries import Holding, SystemSummary
from headroom.text import view

#: Rows of a chain that fit a screen; an export has them all.
_MOST_ROWS = 40


def render_systems(summaries: Sequence[SystemSummary], where: str, console: Console) -> None:
    """One line per system."""
    many = "system" if len(summaries) == 1 else "systems"
    console.print(Text(f"{len(summaries)} {many} in {where}", style="dim"), soft_wrap=True)
    table = _table(("system", False), ("layers", True), ("rows", True), ("last measured", False), ("", False))
    for summary in summaries:
        title = Text(view(summary.system.title), style="dim")
        counts = (str(summary.layers), str(summary.rows))
        table.add_row(summary.system.id, *counts, view(summary.last_measured[:16], 16), title)
    if summaries:
        console.print(table)


def render_system(
    system: System, holdings: Sequence[Holding], networks: Sequence[NetworkTiming], console: Console
) -> None:
    """How much is known of a system per data type, and the whole networks that were timed on it."""
    console.print(Text(f"{system.id}: {view(system.title)}", style="bold"), soft_wrap=True)
    table = _table(("dtype", False), ("L2", False), ("layers", True), ("rows", True), ("what became of them", False))
    for holding in holdings:
        became = ", ".join(f"{count} {status}" for status, count in holding.statuses.items())
        table.add_row(str(holding.dtype), holding.l2, str(holding.layers), str(holding.rows), Text(became, style="dim"))
    if holdings:
        console.print(table)
    else:
        console.print("No rows.")
    if networks:
        runs = _table(("network", False), ("batch", True), ("dtype", False), ("mode", False), ("time", True))
        for run in networks:
            runs.add_row(
                Text(view(run.model, 40)), str(run.batch), str(run.dtype), view(run.mode, 24), _network_us(run)
            )
        console.print(runs)


def render_chain(system: System, rows: Mapping[DataType, Sequence[Timing]], console: Console) -> None:
    """The rows of one chain per data type, fastest first."""
    console.print(Text(f"{system.id}: {view(system.title)}", style="bold"), soft_wrap=True)
    for dtype, timings in rows.items():
        if not timings:
            continue
        table = _table((str(dtype), False), ("L2", False), ("time", True), ("spread", True), ("", False))
        for timing in timings[:_MOST_ROWS]:
            way = timing.implementation
            name = Text(view(" ".join(filter(None, (way.backend, way.name, way.layout, way.math))), 80))
            told = "" if timing.status is Status.OK else f"{timing.status}: {timing.reason}".rstrip(": ")
            table.add_row(name, timing.l2, _us(timing), _noise(timing), Text(view(told, 80), style="dim"))
        console.print(table)
        if len(timings) > _MOST_ROWS:
            console.print(Text(f"and {len(timings) - _MOST_ROWS} more; headroom db export writes all", style="dim"))
    if not any(rows.values()):
        console.print("No rows: nothing is known of this chain on this system.")


def _table(*titles: tuple[str, bool]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    for title, is_figure in titles:
        table.add_column(title, justify="right" if is_figure else "left", no_wrap=bool(title), overflow="fold")
    return table


def _us(timing: Timing) -> str:
    return figures.time(timing.median_us, 100 * (timing.noise or 0.0))


def _noise(timing: Timing) -> str:
    return "" if timing.noise is None else figures.percent(timing.noise)


def _network_us(run: NetworkTiming) -> str:
    return str(run.status) if run.median_us is None else figures.time(run.median_us)
