"""A connection to a fleet: who is there, and what it can be asked."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headroom._version import __version__
from headroom.errors import GpuError, HeadroomError, UsageError
from headroom.measure.fleet import dask, station
from headroom.measure.fleet.card import RESOURCE, Card
from headroom.measure.fleet.handing_out import Answer, hand_out
from headroom.measure.fleet.items import Item
from headroom.measure.sweep import Progress
from headroom.store.rows import METHOD, System

#: How long a kind of GPU without a single worker is waited for, in seconds: one that died may be starting anew.
PATIENCE_S = 60.0

#: How old what is known of the workers may be, in seconds, and how often a run tells how far it is.
_FRESH_S = 1.0

#: Where the scheduler keeps how far each run is.
RUNS = "headroom-runs"

#: Longest that a scheduler is waited for, in seconds.
CONNECT_S = 15.0


@dataclass(frozen=True)
class KindThere:
    """A kind of GPU that is there: how many, how many items they take at a time, and what libraries all lack."""

    system: System
    gpus: int
    seats: int
    missing: frozenset[str]


class Fleet:
    """A connection to a fleet's scheduler; a context manager. Several threads may use it.

    Attributes:
        address: of the scheduler.
        patience_s: how long a kind of GPU without a single worker is waited for.
        client: dask's own.
    """

    def __init__(self, address: str, *, tls: Path | None = None, patience_s: float = PATIENCE_S) -> None:
        """Connect.

        Raises:
            GpuError: nobody answers there.
            UsageError: dask is not installed, or the address is none.
        """
        self.address, self.patience_s = dask.full_address(address, tls), patience_s
        library = dask.distributed()
        dask.greet(self.address, tls, CONNECT_S)
        try:
            self.client = library.Client(
                self.address, security=dask.security(tls), timeout=CONNECT_S, set_as_default=False
            )
        except (OSError, TimeoutError) as error:
            raise GpuError(
                f"no fleet's scheduler answers at {self.address}: start one with headroom fleet scheduler"
            ) from error
        self.run = uuid.uuid4().hex[:8]
        self._cards: dict[str, Card] = {}
        self._looked_at = self._told_at = float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(Exception):
            self.client.close(timeout=1)

    def cards(self, *, fresh: bool = True) -> dict[str, Card]:
        """Who is there, by address; at most a second old unless ``fresh``.

        Raises:
            GpuError: the scheduler is gone.
            UsageError: a worker is of another version of Headroom.
        """
        if fresh or time.monotonic() - self._looked_at > _FRESH_S:
            members = self.ask(self.client.scheduler_info)["workers"]
            ours = {at for at, told in members.items() if any(name.startswith(RESOURCE) for name in told["resources"])}
            if new := sorted(ours - self._cards.keys()):
                # One that does not answer is about to be missed by the scheduler too.
                said = self.ask(self.client.run, station.card, workers=new, on_error="return")
                self._cards |= {at: card for at, card in said.items() if isinstance(card, Card)}
            self._cards = {at: card for at, card in self._cards.items() if at in ours}
            _check_versions(self._cards.values())
            self._looked_at = time.monotonic()
        return self._cards

    def kinds(self) -> list[KindThere]:
        """The kinds of GPU that are there.

        Raises:
            GpuError: there is no worker.
        """
        found: dict[System, list[Card]] = defaultdict(list)
        for card in self.cards().values():
            found[card.system].append(card)
        if not found:
            raise GpuError(f"the fleet at {self.address} has no worker: start headroom fleet worker {self.address}")
        return [
            KindThere(
                system,
                len(cards),
                sum(card.seats for card in cards),
                frozenset.intersection(*(frozenset(card.missing) for card in cards)),
            )
            for system, cards in sorted(found.items(), key=lambda item: item[0].title)
        ]

    def tell(self, progress: Progress) -> None:
        """Let :func:`headroom.measure.fleet.status.status` know how far this run is; at most once a second."""
        if 0 < progress.done < progress.total and time.monotonic() - self._told_at < _FRESH_S:
            return
        self._told_at = time.monotonic()
        run = {"done": progress.done, "total": progress.total, "left_s": progress.left_s, "at": time.time()}
        self.ask(self.client.set_metadata, [RUNS, self.run], run)

    def perform(
        self, agendas: Mapping[System, Iterator[Item]], on_lost: Callable[[System, str], None] | None = None
    ) -> Iterator[Answer]:
        """Have every kind's items done, in order as seats become free; answers as they come in.

        Args:
            on_lost: told which kind of GPU is given up, and why, because nobody was left of it or whoever was there
                declined; the others go on. Without it that is an error.

        Raises:
            GpuError: the scheduler is gone, a kind of GPU is lost, or dask failed.
            HeadroomError: whatever an item raised; nothing further is begun.
        """

        def refuse(system: System, why: str) -> None:
            raise GpuError(f"{system.gpu} (system {system.id}): {why}")

        return hand_out(self, agendas, on_lost or refuse)

    def ask(self, question: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """What a method of the client answers.

        Raises:
            GpuError: the scheduler is gone.
        """
        if self.client.status != "running":
            raise self.gone()
        try:
            return question(*arguments, **options)
        except HeadroomError:
            raise
        except Exception as error:
            raise self.gone() from error

    def gone(self) -> GpuError:
        """What is raised when the scheduler is."""
        return GpuError(
            f"the fleet's scheduler at {self.address} does not answer any more: start it and its workers again, and "
            "run the same command; layers that were done are kept"
        )


def _check_versions(cards: Iterable[Card]) -> None:
    for card in cards:
        if (card.version, card.method) != (__version__, METHOD):
            raise UsageError(
                f"the worker on {card.host} has Headroom {card.version}, this is {__version__}: install one version "
                "on every machine of a fleet"
            )
