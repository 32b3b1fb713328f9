"""What ``headroom measure`` shows: a bar with an estimate for whoever watches, and what came of it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

from headroom.figures import time
from headroom.store.rows import Status
from headroom.text import view

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.progress import Progress as Bar

    from headroom.gpu.spec import GpuSpec
    from headroom.graph.graph import Graph
    from headroom.graph.tensor import DataType
    from headroom.measure.sweep import Progress, SweepReport
    from headroom.store.rows import NetworkTiming, System


class Watch:
    """A bar on stderr, only for a person who is watching; afterwards it knows how far the run came."""

    def __init__(self, *, quiet: bool) -> None:
        self.last: Progress | None = None
        self._bar: Bar | None = None
        self._is_watched = not quiet and sys.stderr is not None and sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def how_far(self, *, resumes: bool = True) -> list[str]:
        """What an interrupted run leaves; ``resumes`` tells whether another one like it goes on from there."""
        if self.last is None:
            return []
        kept = f"{self.last.done} of {self.last.total} layers are kept"
        return [f"{kept}; run the same again to go on" if resumes else kept]

    def __call__(self, progress: Progress) -> None:
        self.last = progress
        if not self._is_watched:
            return
        if self._bar is None:
            self._bar = _bar()
            self._bar.add_task("", total=progress.total)
            self._bar.start()
        left = f"about {duration(progress.left_s)} left: {view(progress.doing, 60)}"
        self._bar.update(self._bar.task_ids[0], completed=progress.done, description=left)


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    return Progress(*columns, console=Console(stderr=True), transient=True)


def summary(report: SweepReport) -> list[str]:
    """What a run did, a line each."""
    lines = [f"{report.system.title} (system {report.system.id})", _layers(report)]
    if report.statuses:
        rows = ", ".join(f"{number:,} {status}" for status, number in report.statuses.most_common())
        lines.append(f"{report.statuses.total():,} rows: {rows}")
    if report.winners:
        winners = ", ".join(f"{name} {number}" for name, number in report.winners.most_common())
        lines.append(f"fastest implementations: {winners}")
    if report.replaced_workers:
        lines.append(f"{_many(report.replaced_workers, 'worker')} died or hung and had to be replaced")
    if report.measured:
        lines.append(f"share of the time that the worker was not at work: {report.parent_share:.1%}")
    return lines


def networks(rows: Sequence[NetworkTiming]) -> list[str]:
    """Whole networks as frameworks ran them, fastest first; what did not run, with its reason."""
    ran = sorted((row for row in rows if row.median_us is not None), key=lambda row: row.median_us or 0.0)
    lines = [f"{row.model} as a whole, batch {row.batch}, {row.dtype}, {_run(row)}" for row in ran]
    failed = (row for row in rows if row.median_us is None)
    return [*lines, *(f"{row.model} as a whole, {row.mode}: {row.status}: {view(row.reason)}" for row in failed)]


def counted(number: int, reason: str) -> list[str]:
    """What came of the hardware counters."""
    lines = [f"{_many(number, 'layer')} counted by ncu"] if number else []
    return [*lines, f"not counted: {view(reason)}"] if reason else lines


@dataclass(frozen=True)
class Asked:
    """What of the command line ``headroom analyze`` has to be told as well."""

    model: str
    batch: int | None = None
    dims: Mapping[str, int] = field(default_factory=dict)
    db: str | None = None


def outlook(asked: Asked, graph: Graph, dtype: DataType, system: System) -> Iterator[str]:
    """What ``headroom analyze`` says from now on, and the command that says it; nothing where the GPU has no sheet,
    without which it cannot. The analysis is made when somebody takes the line."""
    from headroom.api import analyze
    from headroom.gpu.sheets import gpu_of_driver

    sheet = gpu_of_driver(system.gpu)
    if sheet is None:
        return
    answer = analyze(graph, sheet, dtype, db=asked.db, system=system.id)
    layers = answer.to_dict()["layers"]
    known = sum(row["source"] == "measured" for row in layers)
    fused = f", {time(answer.bounds.fused_us)} fused" if answer.bounds.fused_us is not None else ""
    bound = f"lower bound {time(answer.bounds.sequential_us)}{fused}"
    yield (
        f"{_command(asked, graph, sheet, dtype, system)} now says for batch {graph.batch}: {bound}, "
        f"{known} of {len(layers)} distinct layers measured"
    )


def _command(asked: Asked, graph: Graph, gpu: GpuSpec, dtype: DataType, system: System) -> str:
    """The command that answers from ``system``, which is named only where another one would answer by itself."""
    from headroom.advise.stored import measurements_of
    from headroom.store.default import open_for_reading
    from headroom.store.place import find_place

    with open_for_reading(asked.db) as stores:
        usual = measurements_of(stores, graph, gpu, dtype, "warm")
    words = ["headroom", "analyze", asked.model, "--gpu", gpu.id, "--dtype", str(dtype)]
    words += ["--batch", str(asked.batch)] if asked.batch is not None else []
    words += [word for name, size in asked.dims.items() for word in ("--dim", f"{name}={size}")]
    # The name of a place never shows a password.
    words += ["--db", find_place(asked.db).name] if asked.db is not None else []
    words += ["--system", system.id] if usual is None or usual.system != system else []
    return shlex.join(words)


def duration(seconds: float) -> str:
    """``45 s``, ``3 min``, ``1.5 h``: as much as an estimate deserves.

    >>> duration(45.2), duration(200), duration(5400)
    ('45 s', '3 min', '1.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _layers(report: SweepReport) -> str:
    parts = [f"{_many(report.measured, 'layer')} measured in {duration(report.wall_s)}"]
    if report.skipped:
        parts.append(f"{report.skipped} known before")
    if report.done_by_others:
        parts.append(f"{report.done_by_others} measured by another run meanwhile")
    if report.failed:
        what = "headroom db show says why, --again failed tries them again"
        parts.append(f"{report.failed} without a time that counts ({what})")
    if report.left:
        parts.append(f"{report.left} left for the next run")
    return ", ".join(parts)


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _run(row: NetworkTiming) -> str:
    noise = 100.0 * row.iqr_us / row.median_us if row.iqr_us and row.median_us else 0.0
    note = "" if row.status is Status.OK else f" ({row.status})"
    return f"{row.mode}: {time(row.median_us, noise)}{note}"
