"""A progress bar that shows itself only when the wait is worth one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Protocol

#: Work shorter than this needs no bar.
PATIENCE_S = 2.0


class Advance(Protocol):
    def __call__(self, doing: str) -> None:
        """Say what is done now; the bar moves one step."""


@contextmanager
def progress(steps: int, *, quiet: bool = False) -> Iterator[Advance]:
    """A bar of ``steps`` steps on stderr, after two seconds, only for a person who is watching."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda doing: None
        return
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task("starting", total=steps)
    timer = Timer(PATIENCE_S, bar.start)
    timer.daemon = True
    timer.start()
    done = -1

    def advance(doing: str) -> None:
        nonlocal done
        done += 1
        bar.update(task, completed=done, description=doing)

    try:
        yield advance
    finally:
        timer.cancel()
        bar.stop()
