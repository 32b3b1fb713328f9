"""A fleet in a terminal: its workers by kind of GPU, and how far its runs are."""

from __future__ import annotations

from collections import defaultdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from headroom.measure.fleet.status import FleetStatus, RunStatus, WorkerStatus
from headroom.store.rows import System
from headroom.text import view


def render_status(status: FleetStatus, console: Console) -> None:
    """One block per kind of GPU, a line per worker; then a line per run."""
    kinds: dict[System, list[WorkerStatus]] = defaultdict(list)
    for worker in status.workers:
        kinds[worker.card.system].append(worker)
    gpus, sorts = len(status.workers), len(kinds)
    summary = f"{gpus} GPU{'s' * (gpus != 1)} of {sorts} kind{'s' * (sorts != 1)} at {status.address}"
    console.print(Text(summary, style="dim"), soft_wrap=True)
    for system, workers in kinds.items():
        console.print(Text(f"{system.id}: {view(system.title)}", style="bold"), soft_wrap=True)
        table = Table(box=None, show_header=False, padding=(0, 1, 0, 2), pad_edge=True)
        for worker in workers:
            place = f"{view(worker.card.host, 40)} GPU {worker.card.gpu}"
            table.add_row(Text(place), f"{worker.card.seats} at a time", Text(_doing(worker), style="dim"))
        console.print(table)
    for run in status.runs:
        console.print(Text(_far(run)), soft_wrap=True)
    if not status.runs:
        console.print("No run.")


def _doing(worker: WorkerStatus) -> str:
    if worker.doing is None:
        return "does not answer"
    if not worker.doing:
        return "idle"
    more = f" and {len(worker.doing) - 1} more" if len(worker.doing) > 1 else ""
    return f"measures {view(worker.doing[0], 60)}{more}"


def _far(run: RunStatus) -> str:
    share = 100 * run.done / run.total if run.total else 100.0
    return f"run: {run.done} of {run.total} layers ({share:.0f} %), about {run.left_s:.0f} s left"
