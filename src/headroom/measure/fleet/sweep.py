"""Models measured by a fleet: every kind of GPU has its own list, the longest layers first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from headroom.gpu.sheets import gpu_of_driver
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.measure.agenda import Agenda
from headroom.measure.fleet.fleet import Fleet, KindThere
from headroom.measure.fleet.handing_out import Answer
from headroom.measure.fleet.items import LayerItem, Order, Told
from headroom.measure.fleet.place import written_by
from headroom.measure.known import Known
from headroom.measure.pace import Pace
from headroom.measure.plan import Planned, most_valuable_first, plan_tasks
from headroom.measure.run import Wishes, usual_type_of
from headroom.measure.sweep import Progress, SweepReport, Tally
from headroom.store.notebook import Notebook, open_for_measuring
from headroom.store.rows import System


@dataclass(frozen=True)
class FleetReport:
    """What each kind of GPU did, and sentences on those that were lost on the way."""

    sweeps: tuple[SweepReport, ...]
    lost: tuple[str, ...] = ()


def measure_on_fleet(
    fleet: Fleet,
    graphs: Sequence[Graph],
    dtypes: Sequence[DataType],
    *,
    where: str | None = None,
    wishes: Wishes | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> FleetReport:
    """Fill the database with every layer of ``graphs`` on every kind of GPU of ``fleet``, as far as it is not known.

    Args:
        dtypes: the data types; each kind's usual one where none is named.
        where: the database; SQLite only where all workers share this machine.

    Raises:
        GpuError: there is no worker, or the scheduler is gone. Layers that were done stay.
        StoreError: the database cannot be read or written.
        UsageError: a SQLite file, and workers elsewhere.
    """
    wishes = wishes or Wishes()
    order = Order(written_by(fleet, where), wishes.shared, wishes.again)
    with open_for_measuring(where) as notebook:
        works = [
            _Work(kind, _planned(graphs, dtypes, kind.system, wishes), notebook, order, wishes)
            for kind in fleet.kinds()
        ]
        agendas = {work.system: work.items() for work in works if work.todo}
        by_system = {work.system: work for work in works}

        def tell(doing: str) -> None:
            left_s = max(work.left_s for work in works)
            progress = Progress(sum(w.done for w in works), sum(len(w.todo) for w in works), doing, left_s)
            fleet.tell(progress)
            on_progress(progress)

        tell("the fleet begins")
        lost: list[str] = []
        for answer in fleet.perform(agendas, lambda system, why: lost.append(f"{system.gpu} ({system.id}): {why}")):
            by_system[answer.system].take(answer)
            tell(f"{answer.item.title} on {answer.system.gpu}")
    return FleetReport(tuple(work.report() for work in works), tuple(lost))


class _Work:
    """What one kind of GPU has to do, and has done."""

    def __init__(
        self, kind: KindThere, planned: Sequence[Planned], records: Notebook, order: Order, wishes: Wishes
    ) -> None:
        self.system, self._seats, self._order, self._wishes = kind.system, kind.seats, order, wishes
        known = Known(records, kind.system, kind.missing, wishes.again)
        self.todo = known.without(planned)
        self._skipped = len(planned) - len(self.todo)
        self._pace = Pace(item.task for item in self.todo)
        self._agenda = Agenda(longest_first(self.todo, self._pace, wishes), known.covers, self._pace.began)
        self._tally, self._by_others, self._replaced, self._worked_s = Tally(), 0, 0, 0.0
        self._begin = time.monotonic()
        self._end = self._begin

    @property
    def done(self) -> int:
        return self._tally.measured + self._agenda.done_by_others + self._by_others

    @property
    def left_s(self) -> float:
        return self._pace.left_s / self._seats

    def items(self) -> Iterator[LayerItem]:
        budget_s = self._wishes.budget_s
        for number, planned in enumerate(self._agenda):
            spent_s = time.monotonic() - self._begin
            if budget_s is not None and number and spent_s + self._pace.expects(planned.task) > budget_s:
                return
            self._pace.began(planned.task)
            yield LayerItem(planned.task, self._order)

    def take(self, answer: Answer) -> None:
        """Note what came of a layer; one that took two workers along is left for the next run."""
        told, item = answer.told, answer.item
        assert isinstance(item, LayerItem)
        self._end = time.monotonic()
        if not isinstance(told, Told):
            return
        if told.is_known:
            self._by_others += 1
            self._agenda.meet(item.task)
            return
        self._pace.took(item.task, told.seconds)
        self._tally.count(told.statuses, told.winner)
        self._replaced += told.replaced
        self._worked_s += told.waited_s

    def report(self) -> SweepReport:
        wall_s = self._end - self._begin
        by_others = self._agenda.done_by_others + self._by_others
        return SweepReport(
            system=self.system,
            measured=self._tally.measured,
            skipped=self._skipped,
            done_by_others=by_others,
            failed=self._tally.failed,
            left=len(self.todo) - self._tally.measured - by_others,
            statuses=self._tally.statuses,
            winners=self._tally.winners,
            wall_s=wall_s,
            parent_share=max(0.0, 1.0 - self._worked_s / (self._seats * wall_s)) if self._tally.measured else 0.0,
            replaced_workers=self._replaced,
        )


def _planned(graphs: Sequence[Graph], dtypes: Sequence[DataType], system: System, wishes: Wishes) -> list[Planned]:
    sheet = gpu_of_driver(system.gpu)
    return most_valuable_first(
        item
        for graph in graphs
        for dtype in dtypes or (usual_type_of(sheet),)
        for item in plan_tasks(graph, dtype, sheet, plans=wishes.plans, fused=wishes.fused, direction=wishes.direction)
    )


def longest_first(todo: Sequence[Planned], pace: Pace, wishes: Wishes) -> list[Planned]:
    """What takes longest goes first, so that all end together; within a budget the most valuable does."""
    if wishes.budget_s is not None:
        return list(todo)
    return sorted(todo, key=lambda item: (-pace.expects(item.task), -item.value_us / item.count))
