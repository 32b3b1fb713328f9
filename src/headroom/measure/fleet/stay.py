"""A scheduler or a machine's workers that stay until they are told to go."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from headroom.errors import GpuError
from headroom.measure.fleet.child import Child, Hands

_ROUND_S = 0.5


def keep_scheduler(host: str, port: int, tls: Path | None, say: Callable[[str], None]) -> None:
    """Be a fleet's scheduler until Ctrl-C.

    Raises:
        GpuError: it cannot start, or has died.
    """
    child = Child(role="scheduler", host=host, port=port, tls=None if tls is None else str(tls))
    try:
        say(f"the fleet's scheduler is at {child.ready()['address']}")
        while not child.is_gone:
            time.sleep(_ROUND_S)
        raise GpuError("the fleet's scheduler has died; start it again, and run what was running again")
    finally:
        child.end()


def keep_workers(
    scheduler: str, gpus: Sequence[int], seats: int | None, tls: Path | None, say: Callable[[str], None]
) -> None:
    """Be a fleet's workers until Ctrl-C, one process per GPU.

    Raises:
        GpuError: a GPU cannot be used, or its worker dies again and again.
    """
    hands = Hands(scheduler, gpus, seats=seats, tls=tls)
    try:
        for gpu, said in zip(gpus, hands.start(), strict=True):
            say(f"GPU {gpu}: {said['system']}, {said['seats']} layers at a time")
        while True:
            hands.tend()
            time.sleep(_ROUND_S)
    finally:
        hands.end()
