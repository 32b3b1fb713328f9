"""A fleet of all GPUs of this machine, for as long as a block of code."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from headroom.errors import GpuError
from headroom.measure.driver import count_gpus
from headroom.measure.fleet.child import Child, Hands
from headroom.measure.fleet.dask import LOOPBACK, distributed

#: How often dead workers are looked for, in seconds.
_ROUND_S = 0.5

#: Longest that the thread that looks after the workers is waited for, in seconds.
_PATIENCE_S = 1.0


@contextmanager
def local_fleet(gpus: Sequence[int] | None = None, seats: int | None = None) -> Iterator[str]:
    """The address of a scheduler on the loopback interface with a worker for each of ``gpus``, by default for all.

    No process of it is left when the block ends.

    Raises:
        GpuError: there is no GPU, or a process of the fleet cannot start.
        UsageError: dask is not installed.
    """
    distributed()
    chosen = list(range(count_gpus()) if gpus is None else gpus)
    if not chosen:
        raise GpuError("this machine shows no GPU; start workers elsewhere and name their scheduler (docs/fleet.md)")
    scheduler = Child(role="scheduler", host=LOOPBACK, port=0, tls=None)
    try:
        address = str(scheduler.ready()["address"])
        with _tended(Hands(address, chosen, seats=seats)):
            yield address
    finally:
        scheduler.end()


@contextmanager
def _tended(hands: Hands) -> Iterator[None]:
    """Workers that are started, replaced and ended in a thread of their own, which they would not outlive."""
    started, ended = threading.Event(), threading.Event()
    failed: list[BaseException] = []

    def look_after() -> None:
        try:
            hands.start()
            started.set()
            while not ended.wait(_ROUND_S):
                with suppress(GpuError):  # the others go on; whoever hands out work notices that one is missing
                    hands.tend()
        except BaseException as error:  # noqa: BLE001 - whoever waits for the start raises it
            failed.append(error)
            started.set()
        finally:
            hands.end()

    thread = threading.Thread(target=look_after, daemon=True)
    thread.start()
    try:
        started.wait()
        if failed:
            raise failed[0]
        yield
    finally:
        ended.set()
        hands.end()
        thread.join(_PATIENCE_S)
