"""Handing out work: a kind's free seats pull the next item, and what a dead worker held goes to another."""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headroom.errors import GpuError, HeadroomError
from headroom.measure.fleet import dask
from headroom.measure.fleet.card import Card, resource_of
from headroom.measure.fleet.items import Declined, Item, perform
from headroom.store.rows import System
from headroom.text import plain_line

if TYPE_CHECKING:
    from headroom.measure.fleet.fleet import Fleet

#: How often the fleet is looked at while nothing comes in, in seconds.
_ROUND_S = 1.0


@dataclass(frozen=True)
class Answer:
    """An item with what its worker told; ``None`` where two workers died while they had it."""

    system: System
    item: Item
    told: Any


def hand_out(
    fleet: Fleet, agendas: Mapping[System, Iterator[Item]], on_lost: Callable[[System, str], None]
) -> Iterator[Answer]:
    """See :meth:`headroom.measure.fleet.fleet.Fleet.perform`."""
    finished: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    kinds = {system.id: _Kind(fleet, system, agenda, finished, on_lost) for system, agenda in agendas.items()}
    try:
        while kinds:
            cards = fleet.cards(fresh=False)
            for name, kind in list(kinds.items()):
                kind.hand_out({at: card for at, card in cards.items() if card.system.id == name})
                if kind.is_done:
                    del kinds[name]
            try:
                name, key = finished.get(timeout=_ROUND_S if kinds else 0.0)
            except queue.Empty:
                continue
            if name in kinds and (answer := kinds[name].land(key)) is not None:
                yield answer
    finally:
        for kind in kinds.values():
            kind.call_back()


@dataclass
class _Flight:
    """An item on its way. ``able`` are the workers that may take it, all of its kind where none are named."""

    item: Item
    future: Any
    able: frozenset[str]


@dataclass
class _Kind:
    """One kind of GPU: what is left for it, on its way, and whose GPU was of no use."""

    fleet: Fleet
    system: System
    agenda: Iterator[Item]
    finished: queue.SimpleQueue[tuple[str, str]]
    on_lost: Callable[[System, str], None]
    _flights: dict[str, _Flight] = field(default_factory=dict)
    _back: list[Item] = field(default_factory=list)
    _declined: dict[str, str] = field(default_factory=dict)
    _is_through: bool = False
    _deserted_since: float | None = None

    @property
    def is_done(self) -> bool:
        return self._is_through and not self._flights and not self._back

    def hand_out(self, members: Mapping[str, Card]) -> None:
        """An item for every free seat of ``members``."""
        able = {at: card for at, card in members.items() if at not in self._declined}
        for key, flight in list(self._flights.items()):
            # Dask gives a dead worker's items to others, but not beyond those that were named.
            if flight.able and not flight.able & able.keys():
                self.fleet.client.cancel([flight.future], force=True)
                self._back.append(self._flights.pop(key).item)
        if not able:
            self._miss(members)
            return
        self._deserted_since = None
        # As many as there are seats: what waits at a worker that dies would count as a death of its own.
        seats = sum(card.seats for card in able.values())
        while len(self._flights) < seats and (item := self._next()) is not None:
            self._submit(item, frozenset(able) if self._declined else frozenset())

    def land(self, key: str) -> Answer | None:
        """The answer that came in; none where the item was taken back, or goes to another worker."""
        flight = self._flights.pop(key, None)
        if flight is None:
            return None
        told = self._told(flight)
        if isinstance(told, Declined):
            self._declined[told.by] = told.reason
            self._back.append(flight.item)
            return None
        return Answer(self.system, flight.item, told)

    def call_back(self) -> None:
        """Have nothing further begun; what has begun is ended by whoever does it."""
        with suppress(Exception):  # the scheduler may be gone
            self.fleet.client.cancel([flight.future for flight in self._flights.values()], force=True)
        self._flights.clear()

    def _next(self) -> Item | None:
        if self._back:
            return self._back.pop()
        item = None if self._is_through else next(self.agenda, None)
        self._is_through = self._is_through or item is None
        return item

    def _submit(self, item: Item, able: frozenset[str]) -> None:
        key = f"headroom-{self.fleet.run}-{uuid.uuid4().hex[:12]}"
        offered = {resource_of(self.system): 1}
        future = self.fleet.client.submit(
            perform, item, key=key, pure=False, resources=offered, workers=sorted(able) or None
        )
        self._flights[key] = _Flight(item, future, able)
        future.add_done_callback(lambda done: self.finished.put((self.system.id, done.key)))

    def _miss(self, members: Mapping[str, Card]) -> None:
        """Nobody can take this kind's items: wait for a while, unless those that are there have said no."""
        if self._deserted_since is None:
            self._deserted_since = time.monotonic()
        if not members and time.monotonic() - self._deserted_since < self.fleet.patience_s:
            return
        said = [reason for at, reason in self._declined.items() if at in members]
        self.call_back()
        self._back.clear()
        self._is_through = True
        self.on_lost(self.system, said[0] if said else f"no worker was left for {self.fleet.patience_s:g} s")

    def _told(self, flight: _Flight) -> Any:
        killed = dask.distributed().scheduler.KilledWorker
        try:
            return flight.future.result(timeout=self.fleet.patience_s)
        except HeadroomError:
            raise
        except killed:
            return None
        except (CancelledError, OSError, TimeoutError) as error:
            raise self.fleet.gone() from error
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise GpuError(f"the fleet failed at {flight.item.title}: {plain_line(what)}") from error
