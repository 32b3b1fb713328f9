"""Measure every width of many staircases, on every GPU that CUDA shows; run again it goes on where it stopped.

    python benchmarks/staircase_sweep.py WHICH DATABASE GPU GPUS DEADLINE

is one GPU's share, started by :func:`fill`, which ``staircases.py`` and ``tail_effect.py`` call. A GPU takes every n-th
staircase, and when it has done with those whatever the others have left. At the deadline (seconds since the epoch, 0
for none) what is under way is given up; all that was done before is in the database.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from headroom.change.widths.staircase.exhaustive import Narrowing, Sweep, in_order
from headroom.change.widths.staircase.measuring import fixed_widths
from headroom.change.widths.staircase.study import Subject
from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.measure.busy import Guard
from headroom.measure.crew import Crew, default_size
from headroom.measure.driver import driver_of
from headroom.measure.fake_script import VARIABLE, script_in_use
from headroom.measure.plan import Planned
from headroom.measure.sweep import Progress, measure_tasks
from headroom.store.notebook import open_for_measuring
from headroom.store.store import Store

Subjects = Sequence[tuple[Subject, DataType]]

#: Whose theory tells the cheap staircases from the dear ones.
GPU = "h200"

#: Of the seconds there are, what shards leave for the end: workers that are ended, and rows that are counted.
END_S = 5.0

#: A fake machine has so many GPUs, each with so many workers.
FAKE_GPUS, FAKE_WORKERS = 2, 2


class TimeIsUp(BaseException):
    """The seconds are over."""


def fill(which: str, database: Path, budget_s: float | None) -> int:
    """Measure the widths of ``SUBJECTS[which]`` that the database does not know; how many are left."""
    gpus = visible_gpus()
    with Store.open(database):
        pass  # created once, before many want to
    begin, before = time.monotonic(), left_of(which, database)
    codes = on_every_gpu([__file__, which, database], gpus, budget_s)
    left = left_of(which, database)
    spent_s = time.monotonic() - begin
    print(f"{which}: {before - left} widths measured in {spent_s:.0f} s on {gpus} GPUs, {left} left", flush=True)
    if any(codes):
        print(f"{which}: GPUs ended with {codes}", flush=True)
    return left


def rehearse(which: str, budget_s: float | None) -> None:
    """Fill a database that is thrown away, on fake GPUs."""
    with fake_machine() as database:
        fill(which, database, budget_s)


@contextmanager
def fake_machine(**script: Any) -> Iterator[Path]:
    """A database that is thrown away, for fake GPUs to fill, which have ``script`` beside what every rehearsal has."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault(VARIABLE, "fake:" + json.dumps({"plans": 2, "turns": folder, **script}))
        yield Path(folder) / "dry.sqlite"


def on_every_gpu(command: Sequence[str | Path], shares: int, budget_s: float | None) -> list[int]:
    """How the shares of a script ended: each gets its GPU, how many shares there are, and when to end."""
    deadline = deadline_of(budget_s)
    started = [
        subprocess.Popen([sys.executable, *command, str(gpu), str(shares), str(deadline)])
        for gpu in range(min(shares, visible_gpus()))
    ]
    return [each.wait() for each in started]


def visible_gpus() -> int:
    """GPUs that CUDA shows; the driver is asked, no context is made."""
    if script_in_use() is not None:
        return FAKE_GPUS
    import torch

    return int(torch.cuda.device_count())


def deadline_of(budget_s: float | None) -> float:
    """When shards end, which are processes of their own and start late; 0 is never."""
    return 0.0 if budget_s is None else time.time() + budget_s - END_S


def shard(which: str, database: Path, gpu: int, gpus: int, deadline: float) -> None:
    """GPU ``gpu``'s share."""
    planned, sweeps = share_of(which, gpu, gpus)

    def show(progress: Progress) -> None:
        if progress.done % 50 == 0:
            print(f"GPU {gpu}: {progress.done} of {progress.total}, {progress.left_s:.0f} s left", flush=True)

    with (
        suppress(TimeIsUp),
        until(deadline),
        open_for_measuring(database) as records,
        driver_of(gpu) as driver,
        crew_on(gpu, gpus, Guard(driver, shared=False), driver.memory_bytes) as crew,
    ):
        report = measure_tasks(
            planned,
            records,
            crew,
            budget_s=deadline - time.time() if deadline else None,
            on_progress=show,
            narrowed=Narrowing.of(sweeps, records, crew.facts().system),
        )
        print(
            f"GPU {gpu}: {report.measured} measured, {report.skipped} known, {report.failed} without a time, "
            f"{report.wall_s:.0f} s with {crew.size} workers, {report.replaced_workers} replaced, "
            f"parent {report.parent_share:.1%}, rows {dict(report.statuses)}",
            flush=True,
        )


def crew_on(gpu: int, gpus: int, guard: Guard, memory_bytes: int) -> Crew:
    size = FAKE_WORKERS if script_in_use() is not None else default_size(memory_bytes, gpus)
    return Crew(gpu, size=size, admit=guard.admit)


def share_of(which: str, gpu: int, gpus: int) -> tuple[list[Planned], list[Sweep]]:
    """What GPU ``gpu`` measures in which order: its own staircases, then those of the others from their end."""
    sheet = load_gpu(GPU)
    sweeps = [
        Sweep.of(subject, in_width, sheet, dtype)
        for subject, dtype in subjects(which)
        for in_width in fixed_widths(subject)
    ]
    sweeps.sort(key=lambda sweep: sweep.cost_us)
    own = [sweep for place, sweep in enumerate(sweeps) if place % gpus == gpu]
    others = [sweep for place, sweep in enumerate(sweeps) if place % gpus != gpu]
    first = in_order(own)
    known = {(item.task.chain.digest, item.task.dtype) for item in first}
    later = [item for item in in_order(others)[::-1] if (item.task.chain.digest, item.task.dtype) not in known]
    return [*first, *later], sweeps


def subjects(which: str) -> Subjects:
    """The layers of a script: ``MODULE`` or ``MODULE:NAME`` in this folder, by default its ``SUBJECTS``."""
    module, _, name = which.partition(":")
    found: Subjects = getattr(import_module(module), name or "SUBJECTS")
    return found


def left_of(which: str, database: Path) -> int:
    """Widths that are not measured yet on the system that the database knows most of."""
    planned, _ = share_of(which, 0, 1)
    with Store.open(database, read_only=True) as store:
        known = max(store.systems(), key=lambda summary: summary.layers, default=None)
        if known is None:
            return len(planned)
        finished = {
            (dtype, digest)
            for dtype in {item.task.dtype for item in planned}
            for digest in store.finished(known.system, dtype, "likely")
        }
    return sum((item.task.dtype, item.task.chain.digest) not in finished for item in planned)


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Raise :class:`TimeIsUp` in the block at ``deadline``; 0 is never."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(0.001, deadline - time.time()) if deadline else 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


if __name__ == "__main__":
    shard(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
