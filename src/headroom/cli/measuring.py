"""What ``headroom measure`` shows: a bar with an estimate for whoever watches, and what came of it."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from headroom.text import view

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from headroom.measure.sweep import Progress, SweepReport


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
        if self._bar is not None:
            self._bar.stop()

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
    if report.failed:
        parts.append(f"{report.failed} without a time that counts (headroom db show says why)")
    if report.left:
        parts.append(f"{report.left} left for the next run")
    return ", ".join(parts)


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
