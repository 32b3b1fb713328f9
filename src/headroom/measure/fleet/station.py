"""One worker of a fleet: a GPU, the processes that measure on it, and the database that they write to.

It lives in a process of its own with as many threads as it has seats; each thread has its own measuring process, which
dies with the thread that started it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from headroom.errors import HeadroomError
from headroom.measure.busy import Guard
from headroom.measure.client import Worker
from headroom.measure.driver import Driver
from headroom.measure.fleet.card import Card
from headroom.measure.visit import Budgets
from headroom.store.notebook import Notebook, open_for_measuring
from headroom.store.place import find_place
from headroom.store.rows import Sweep

#: Seconds without work after which the GPU's memory is given back.
IDLE_S = 20.0


class Station:
    """A GPU as a fleet uses it.

    Attributes:
        address: of the dask worker around it.
        doing: what is measured at the moment, by thread.
    """

    def __init__(self, driver: Driver, card: Card) -> None:
        self.driver, self.card, self.address = driver, card, ""
        self.doing: dict[int, str] = {}
        self._workers: dict[int, Worker] = {}
        self._notebooks: dict[str, tuple[Notebook, tuple[int, int] | None]] = {}
        self._guards: dict[bool, Guard] = {}
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._writing = threading.Lock()
        self._room = _Room()
        self._last_used = time.monotonic()

    def seat(self, title: str) -> Seat:
        return Seat(self, title)

    def records(self, where: str) -> Notebook:
        """The database at ``where``, opened once, and again where another file took its name since then.

        A fleet that stands outlives databases: what goes to a file that was deleted is lost.
        """
        place = find_place(where)
        with self._lock:
            if where not in self._notebooks or self._notebooks[where][1] != place.inode:
                opened = open_for_measuring(where)
                self._notebooks[where] = opened, place.inode
            return self._notebooks[where][0]

    def write(self, records: Notebook, sweep: Sweep) -> None:
        """Write a layer; those of one GPU come one after another, not as a crowd."""
        with self._writing:
            records.record(sweep)

    def rest(self, idle_s: float = IDLE_S) -> None:
        """Leave the GPU to others where nothing was measured for ``idle_s`` seconds."""
        with self._lock:
            if self.doing or time.monotonic() - self._last_used < idle_s:
                return
            workers, self._workers = list(self._workers.values()), {}
            self._guards.clear()
        for worker in workers:
            worker.close()

    def close(self) -> None:
        """End every process, whatever it does."""
        with self._lock:
            workers = list(self._workers.values())
        for worker in workers:
            worker.retire()

    @contextmanager
    def busy(self, title: str) -> Iterator[None]:
        with self._lock:
            self.doing[threading.get_ident()] = title
        try:
            yield
        finally:
            with self._lock:
                del self.doing[threading.get_ident()]
                self._last_used = time.monotonic()

    def worker(self, budgets: Budgets, *, shared: bool) -> Worker:
        """This thread's measuring process, with its GPU; the first of all sees whether that is free.

        Raises:
            GpuError: it is not, or it cannot be used.
        """
        with self._lock:
            worker = self._workers.setdefault(threading.get_ident(), Worker(self.card.gpu, budgets))
        with self._opening:
            if not self._started():
                self._guard(shared).admit()
                worker.facts()
        worker.facts()
        return worker

    def others(self, *, shared: bool) -> str:
        """Who else uses the GPU."""
        return self._guard(shared).others(own=self._started())

    @contextmanager
    def together(self) -> Iterator[None]:
        with self._room.entered(alone=False):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nothing else is measured here meanwhile, and no idle process of ours is on the GPU."""
        with self._room.entered(alone=True):
            with self._lock:
                workers, self._workers = list(self._workers.values()), {}
            for worker in workers:
                worker.close()
            yield

    def _started(self) -> int:
        with self._lock:
            return sum(worker.has_started for worker in self._workers.values())

    def _guard(self, shared: bool) -> Guard:
        with self._lock:
            return self._guards.setdefault(shared, Guard(self.driver, shared=shared))


@dataclass
class Seat:
    """A place at a station for one item."""

    station: Station
    title: str
    _shared: bool = False

    @contextmanager
    def taken(self, budgets: Budgets, *, shared: bool) -> Iterator[Worker]:
        """A measuring process, beside those of the other seats.

        Raises:
            GpuError: the GPU is busy, or cannot be used.
        """
        self._shared = shared
        with self.station.together(), self.station.busy(self.title):
            yield self.station.worker(budgets, shared=shared)

    @contextmanager
    def alone(self, *, shared: bool) -> Iterator[Worker]:
        """A fresh process with the GPU to itself.

        Raises:
            GpuError: another program uses it.
        """
        with self.station.alone(), self.station.busy(self.title):
            Guard(self.station.driver, shared=shared).admit()
            with Worker(self.station.card.gpu) as worker:
                yield worker

    def others(self) -> str:
        """Who else uses the GPU."""
        return self.station.others(shared=self._shared)


class _Room:
    """Holds many together, or one alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside, self._waiting, self._is_alone = 0, 0, False

    @contextmanager
    def entered(self, *, alone: bool) -> Iterator[None]:
        with self._changed:
            self._waiting += alone
            try:
                self._changed.wait_for(lambda: self._has_place(alone=alone))
            finally:
                self._waiting -= alone
            self._inside += 1
            self._is_alone = alone
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._is_alone = False
                self._changed.notify_all()

    def _has_place(self, *, alone: bool) -> bool:
        """Whoever wants to be alone goes before those who come later, or would wait for ever."""
        return not self._inside if alone else not self._is_alone and not self._waiting


_HERE: list[Station] = []


def settle(station: Station) -> None:
    """Make ``station`` this process's own."""
    _HERE[:] = [station]


def here() -> Station:
    """This process's station.

    Raises:
        HeadroomError: this is no worker of a fleet.
    """
    if not _HERE:
        raise HeadroomError("this dask worker has no GPU of a fleet: start it with headroom fleet worker")
    return _HERE[0]


def card() -> Card:
    """Who is there; asked by whoever hands out work."""
    return here().card


def glance() -> list[str]:
    """What is measured here at the moment."""
    station = here()
    return list(station.doing.values())
