"""The sweep over a model's layers: skip what the database knows, measure the rest, write each layer as it is done."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from headroom.graph.tensor import DataType
from headroom.measure.crew import Crew
from headroom.measure.pace import Pace
from headroom.measure.plan import Planned
from headroom.measure.task import Task
from headroom.store.rows import Status, Sweep, System, Timing


class Records(Protocol):
    """What the sweep needs of the performance database (:class:`headroom.store.store.Store`)."""

    def record(self, sweep: Sweep) -> object:
        """Write a layer's rows, all or none."""

    def finished(self, system: System, dtype: DataType, plans: str, missing: Collection[str]) -> frozenset[str]:
        """Digests of the chains that need no more measuring where these libraries are ``missing``."""

    def timings(self, digest: str, system: System, dtype: DataType) -> tuple[Timing, ...]:
        """What is known of a chain; asked from several threads."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a sweep stands: layers done of all that were to be measured, and the seconds that the rest may take."""

    done: int
    total: int
    doing: str
    left_s: float


@dataclass(frozen=True)
class SweepReport:
    """What a sweep did. ``parent_share`` is the share of their time that workers waited for this process.

    ``skipped`` layers were known before, ``failed`` ones have no time that counts, ``left`` ones did not fit into the
    budget. ``statuses`` counts the rows, ``winners`` the libraries of the fastest implementations.
    """

    system: System
    measured: int
    skipped: int
    failed: int
    left: int
    statuses: Counter[Status]
    winners: Counter[str]
    wall_s: float
    parent_share: float
    replaced_workers: int


@dataclass
class _Tally:
    measured: int = 0
    failed: int = 0
    statuses: Counter[Status] = field(default_factory=Counter)
    winners: Counter[str] = field(default_factory=Counter)

    def add(self, rows: Sequence[Timing]) -> None:
        self.measured += 1
        self.statuses.update(row.status for row in rows)
        times = [(row.median_us or 0.0, row.implementation.backend) for row in rows if row.status is Status.OK]
        if times:
            self.winners[min(times)[1]] += 1
        else:
            self.failed += 1


def measure_tasks(
    planned: Sequence[Planned],
    records: Records,
    crew: Crew,
    *,
    system: System | None = None,
    missing: Collection[str] = (),
    budget_s: float | None = None,
    others: Callable[[], str] = lambda: "",
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> SweepReport:
    """Measure what is not known yet, in the given order, and write every layer in a transaction of its own.

    Args:
        system, missing: what the workers are expected to find, and which libraries they will lack: with nothing to
            measure none is even started. Where there is something, their own word counts.
        budget_s: seconds after which no further layer is begun.
        others: asked after each layer who else uses the GPU, in words that its rows then carry.

    Raises:
        GpuError: a worker cannot be started or replaced, or ``others`` refuses to go on.
        StoreError: the database cannot be read or written. Layers that were written stay.
    """
    begin = time.monotonic()
    todo: Sequence[Planned] = planned
    if system is not None:
        todo = _unknown(planned, records, system, missing)
    if system is None or todo:
        facts = crew.facts()
        system, todo = facts.system, _unknown(planned, records, facts.system, facts.missing)
    here = system
    tally, pace = _Tally(), Pace(item.task for item in todo)

    def tasks() -> Iterator[Task]:
        for item in todo:
            if budget_s is not None and time.monotonic() - begin + pace.expects(item.task) > budget_s:
                return
            on_progress(Progress(tally.measured, len(todo), item.task.chain.title, pace.left_s / crew.size))
            pace.began(item.task)
            yield item.task

    def known(task: Task) -> Sequence[Timing]:
        """Of a visit that ended early, that lacked a library, or that tried the heuristics' plans only."""
        return records.timings(task.chain.digest, here, task.dtype)

    for done in crew.measure(tasks(), known) if todo else ():
        rows = _marked(done.rows, others())
        records.record(Sweep(system, done.task.chain, done.task.dtype, done.task.plans, rows, done.seconds))
        pace.took(done.task, done.seconds)
        tally.add(rows)
    wall_s = time.monotonic() - begin
    return SweepReport(
        system=system,
        measured=tally.measured,
        skipped=len(planned) - len(todo),
        failed=tally.failed,
        left=len(todo) - tally.measured,
        statuses=tally.statuses,
        winners=tally.winners,
        wall_s=wall_s,
        parent_share=crew.parent_share,
        replaced_workers=crew.replaced,
    )


def _unknown(planned: Iterable[Planned], records: Records, system: System, missing: Collection[str]) -> list[Planned]:
    """What ``system`` has not measured yet."""
    finished: dict[tuple[DataType, str], frozenset[str]] = {}

    def is_known(task: Task) -> bool:
        key = task.dtype, task.plans
        if key not in finished:
            finished[key] = records.finished(system, *key, missing)
        return task.chain.digest in finished[key]

    return [item for item in planned if not is_known(item.task)]


def _marked(rows: Sequence[Timing], users: str) -> tuple[Timing, ...]:
    """Rows that say with whom the GPU was shared."""
    if not users:
        return tuple(rows)
    note = f"on a shared GPU: {users}"
    return tuple(replace(row, reason=f"{row.reason}; {note}" if row.reason else note) for row in rows)
