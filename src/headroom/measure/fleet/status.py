"""What a fleet is doing: its workers, what each measures, and how far each run is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from headroom.measure.fleet import station
from headroom.measure.fleet.card import Card
from headroom.measure.fleet.fleet import RUNS, Fleet

#: A run that has told nothing for so long, in seconds, has ended without a word.
SILENCE_S = 120.0


@dataclass(frozen=True)
class WorkerStatus:
    """A worker, and the titles of what it measures at the moment; ``None`` where it does not answer."""

    card: Card
    doing: tuple[str, ...] | None


@dataclass(frozen=True)
class RunStatus:
    """How far a run is: layers of all kinds of GPU, seconds that it may still take, and since it last told."""

    done: int
    total: int
    left_s: float
    silent_s: float

    @property
    def is_over(self) -> bool:
        return self.done >= self.total or self.silent_s > SILENCE_S


@dataclass(frozen=True)
class FleetStatus:
    """A fleet at one moment."""

    address: str
    workers: tuple[WorkerStatus, ...]
    runs: tuple[RunStatus, ...]


def status(fleet: Fleet) -> FleetStatus:
    """What ``fleet`` is doing now.

    Raises:
        GpuError: the scheduler is gone.
    """
    cards = fleet.cards()
    seen: dict[str, Any] = fleet.ask(fleet.client.run, station.glance, workers=sorted(cards), on_error="return")
    workers = [
        WorkerStatus(card, tuple(seen[at]) if isinstance(seen.get(at), list) else None) for at, card in cards.items()
    ]
    told: dict[str, dict[str, Any]] = fleet.ask(fleet.client.get_metadata, [RUNS], {})
    runs = [
        RunStatus(run["done"], run["total"], run["left_s"], max(0.0, time.time() - run["at"])) for run in told.values()
    ]
    workers.sort(key=lambda each: (each.card.system.title, each.card.host, each.card.gpu))
    return FleetStatus(fleet.address, tuple(workers), tuple(run for run in runs if not run.is_over))
