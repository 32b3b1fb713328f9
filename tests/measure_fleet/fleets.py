"""Fleets of GPUs that are not there, and waiting for what they do."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from headroom.graph.tensor import DataType
from headroom.measure.fake_script import Script, fake_facts
from headroom.measure.fleet.card import Card
from headroom.measure.fleet.fleet import Fleet
from headroom.measure.fleet.sweep import FleetReport, measure_on_fleet
from headroom.measure.plan import plan_tasks
from headroom.measure.sweep import Progress
from headroom.store.check import problems
from headroom.store.rows import System
from headroom.store.store import Store
from measure.chains import net

T = TypeVar("T")

BF16 = DataType.BF16

#: Longer than anything takes on a slow machine that does something else beside.
PATIENCE_S = 60.0

#: Distinct layers and fusible parts of the small net.
TASKS = len(plan_tasks(net(), BF16))

SYSTEM = fake_facts(Script()).system


def measured(
    fleet: Fleet, where: Path | str, on_progress: Callable[[Progress], None] = lambda told: None
) -> FleetReport:
    """The small net, measured by ``fleet`` into the database at ``where``."""
    return measure_on_fleet(fleet, [net()], [BF16], where=str(where), on_progress=on_progress)


def finished(where: Path | str, system: System = SYSTEM) -> frozenset[str]:
    """The chains that are done, in a database that is whole."""
    with Store.open(where) as store:
        assert problems(store) == ()
        return store.finished(system, BF16, "all")


def wait_for(cards: Callable[[], dict[str, Card]], number: int) -> dict[str, Card]:
    """The cards, once there are so many."""
    return until(cards, lambda found: len(found) == number, f"{number} workers")


def until(look: Callable[[], T], is_right: Callable[[T], bool], what: str) -> T:
    """What ``look`` sees once ``is_right`` holds for it."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_right(found := look()):
        assert time.monotonic() < deadline, f"{what} did not come; there is {found}"
        time.sleep(0.05)
    return found


class Killer:
    """Kills a process once so many layers are done, and keeps what was told of the progress."""

    def __init__(self, after: int, pid: Callable[[], int]) -> None:
        self._after, self._pid = after, pid
        self.told: list[Progress] = []
        self.victim: int | None = None

    def __call__(self, progress: Progress) -> None:
        self.told.append(progress)
        if progress.done >= self._after and self.victim is None:
            self.victim = self._pid()
            os.kill(self.victim, signal.SIGKILL)
