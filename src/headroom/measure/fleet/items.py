"""What can be handed out in a fleet: a layer or chain that goes to the database, or any job that needs a GPU.

An item travels to a worker, is performed there with a :class:`~headroom.measure.fleet.station.Seat`, and what it tells
travels back. Adding another sort of work means adding a class here with ``title`` and ``perform``.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from headroom.measure.again import Again
from headroom.measure.jobs import LIMIT_S
from headroom.measure.known import Known
from headroom.measure.sweep import Tally, marked
from headroom.measure.task import Task
from headroom.measure.visit import Budgets
from headroom.store.rows import Status, Sweep

if TYPE_CHECKING:
    from headroom.measure.fleet.station import Seat


class Item(Protocol):
    """Work for one GPU of a kind."""

    @property
    def title(self) -> str:
        """What it is called where progress is shown."""

    @property
    def shared(self) -> bool:
        """Whether others may use the GPU meanwhile."""

    def perform(self, seat: Seat) -> Any:
        """Do it, and tell what came of it in an object that can travel.

        Raises:
            GpuError: the GPU is of no use: another of its kind is asked.
        """


@dataclass(frozen=True)
class Order:
    """What all layers of a run have in common; ``where`` is the database that is written."""

    where: str
    shared: bool = False
    again: Again | None = None
    budgets: Budgets = field(default_factory=Budgets)


@dataclass(frozen=True)
class Told:
    """What came of a layer. ``is_known``: somebody had measured it by then, and nothing was done.

    ``seconds`` is all that it took, ``waited_s`` what of it the process that measures was at work.
    """

    is_known: bool = False
    statuses: Mapping[Status, int] = field(default_factory=dict)
    winner: str = ""
    seconds: float = 0.0
    waited_s: float = 0.0
    replaced: int = 0


@dataclass(frozen=True)
class LayerItem:
    """Measure a layer or a chain and write its rows, unless the database knows it.

    Both happen where it is measured: a worker that dies afterwards takes no finished layer along.
    """

    task: Task
    order: Order

    @property
    def title(self) -> str:
        return self.task.chain.title

    @property
    def shared(self) -> bool:
        return self.order.shared

    def perform(self, seat: Seat) -> Told:
        task, order = self.task, self.order
        records = seat.station.records(order.where)
        with seat.taken(order.budgets, shared=order.shared) as worker:
            facts = worker.facts()
            known = Known(records, facts.system, facts.missing, order.again)
            if known.covers(task):
                return Told(is_known=True)
            begin, waited_s, replaced = time.monotonic(), worker.waited_s, worker.replaced
            rows = worker.measure(task, known.rows(task))
            seconds = time.monotonic() - begin
            rows = marked(rows, seat.others())
        seat.station.write(records, Sweep(facts.system, task.chain, task.dtype, task.plans, rows, seconds))
        tally = Tally()
        tally.add(rows)
        return Told(
            statuses=Counter(tally.statuses),
            winner=next(iter(tally.winners), ""),
            seconds=seconds,
            waited_s=worker.waited_s - waited_s,
            replaced=worker.replaced - replaced,
        )


@dataclass(frozen=True)
class JobItem:
    """A job of :mod:`headroom.measure.jobs`, which has its GPU to itself; it tells the job's result."""

    job: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    limit_s: float = LIMIT_S
    shared: bool = False

    @property
    def title(self) -> str:
        return self.job

    def perform(self, seat: Seat) -> dict[str, Any]:
        with seat.alone(shared=self.shared) as worker:
            return worker.run_job(self.job, dict(self.arguments), limit_s=self.limit_s)


@dataclass(frozen=True)
class Declined:
    """What a worker tells whose GPU is of no use: busy, gone, or without its libraries."""

    reason: str
    by: str


def perform(item: Item) -> Any:
    """What dask calls in a worker: ``item``'s answer, or why it cannot be done on this GPU."""
    from headroom.errors import GpuError
    from headroom.measure.fleet.station import here

    station = here()
    try:
        return item.perform(station.seat(item.title))
    except GpuError as error:
        return Declined(str(error), station.address)
