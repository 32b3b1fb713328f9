"""The sweep over a model's layers: skip what the database knows, measure the rest, write each layer as it is done."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from headroom.measure.again import Again
from headroom.measure.agenda import Agenda
from headroom.measure.known import Known, Records
from headroom.measure.pace import Pace
from headroom.measure.plan import Planned
from headroom.measure.task import Task
from headroom.store.rows import Status, Sweep, System, Timing

if TYPE_CHECKING:
    from headroom.measure.crew import Crew


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

    ``skipped`` layers were known before, ``done_by_others`` became known meanwhile, ``failed`` ones have no time that
    counts, ``left`` ones did not fit into the budget. ``statuses`` counts the rows, ``winners`` the libraries of the
    fastest implementations.
    """

    system: System
    measured: int = 0
    skipped: int = 0
    done_by_others: int = 0
    failed: int = 0
    left: int = 0
    statuses: Counter[Status] = field(default_factory=Counter)
    winners: Counter[str] = field(default_factory=Counter)
    wall_s: float = 0.0
    parent_share: float = 0.0
    replaced_workers: int = 0


@dataclass
class Tally:
    """What came of the layers so far."""

    measured: int = 0
    failed: int = 0
    statuses: Counter[Status] = field(default_factory=Counter)
    winners: Counter[str] = field(default_factory=Counter)

    def add(self, rows: Sequence[Timing]) -> None:
        times = [(row.median_us or 0.0, row.implementation.backend) for row in rows if row.status is Status.OK]
        self.count(Counter(row.status for row in rows), min(times)[1] if times else "")

    def count(self, statuses: Mapping[Status, int], winner: str) -> None:
        """A layer by how many rows of each status it has, and the library of its fastest one; empty without a time."""
        self.measured += 1
        self.statuses.update(statuses)
        if winner:
            self.winners[winner] += 1
        else:
            self.failed += 1


def measure_tasks(
    planned: Sequence[Planned],
    records: Records,
    crew: Crew,
    *,
    system: System | None = None,
    missing: Collection[str] = (),
    again: Again | None = None,
    budget_s: float | None = None,
    others: Callable[[], str] = lambda: "",
    on_progress: Callable[[Progress], None] = lambda progress: None,
    narrowed: Callable[[Task], Task] = lambda task: task,
) -> SweepReport:
    """Measure what is not known yet, in the given order, and write every layer in a transaction of its own.

    Others may measure into the same database meanwhile: what they finish is left out.

    Args:
        system, missing: what the workers are expected to find, and which libraries they will lack: with nothing to
            measure none is even started. Where there is something, their own word counts.
        again: what is measured although it is known.
        budget_s: seconds after which no further layer is begun; the first one is in any case.
        narrowed: a task as it is to be measured, by what is known when it is begun.
        others: asked after each layer who else uses the GPU, in words that its rows then carry.

    Raises:
        GpuError: a worker cannot be started or replaced, or ``others`` refuses to go on.
        StoreError: the database cannot be read or written. Layers that were written stay.
    """
    begin = time.monotonic()
    known = Known(records, system, missing, again) if system is not None else None
    todo = planned if known is None else known.without(planned)
    if known is None or todo:
        facts = crew.facts()
        known = Known(records, facts.system, facts.missing, again)
        todo = known.without(planned)
    tally, pace = Tally(), Pace(item.task for item in todo)
    agenda = Agenda(todo, known.covers, on_left_out=pace.began)

    def tasks() -> Iterator[Task]:
        for begun, item in enumerate(agenda):
            if budget_s is not None and begun and time.monotonic() - begin + pace.expects(item.task) > budget_s:
                return
            done = tally.measured + agenda.done_by_others
            on_progress(Progress(done, len(todo), item.task.chain.title, pace.left_s / crew.size))
            pace.began(item.task)
            yield narrowed(item.task)

    for visit in crew.measure(tasks(), known.rows, most=len(todo)) if todo else ():
        rows = marked(visit.rows, others())
        agenda.meet(visit.task)
        records.record(Sweep(known.system, visit.task.chain, visit.task.dtype, visit.task.plans, rows, visit.seconds))
        pace.took(visit.task, visit.seconds)
        tally.add(rows)
    wall_s = time.monotonic() - begin
    return SweepReport(
        system=known.system,
        measured=tally.measured,
        skipped=len(planned) - len(todo),
        done_by_others=agenda.done_by_others,
        failed=tally.failed,
        left=len(todo) - tally.measured - agenda.done_by_others,
        statuses=tally.statuses,
        winners=tally.winners,
        wall_s=wall_s,
        parent_share=crew.parent_share,
        replaced_workers=crew.replaced,
    )


def marked(rows: Sequence[Timing], users: str) -> tuple[Timing, ...]:
    """Rows that say with whom the GPU was shared."""
    if not users:
        return tuple(rows)
    note = f"on a shared GPU: {users}"
    return tuple(replace(row, reason=f"{row.reason}; {note}" if row.reason else note) for row in rows)
