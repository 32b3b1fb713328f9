"""Memory of one GPU, shared by workers that measure beside each other: what is too large for all waits for its place.

A worker that finds the memory full loses implementations, and the fastest may be among them: libraries that ask for a
workspace decline, and so do those whose output finds no place.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from headroom.measure.task import Task

#: Sizes of a task's tensors that it holds at most: inputs in two orders, the outputs of those implementations that are
#: timed again, operands and outputs of the reference in fp32 or fp64, and the difference from it. On an H200 twelve
#: workers with tensors of 0.9 GiB each filled its 140 GiB.
HELD_SIZES = 16


def needed_bytes(task: Task) -> int:
    """GPU memory that a worker holds for ``task`` at most, beside what each worker has anyway."""
    return HELD_SIZES * task.chain.bytes(task.dtype)


class Room:
    """``total_bytes`` for all operands of several workers; ``None`` where that is not known, and nobody waits."""

    def __init__(self, total_bytes: int | None) -> None:
        self._total_bytes = total_bytes
        self._taken_bytes = 0
        self._freed = threading.Condition()

    @contextmanager
    def of(self, task: Task) -> Iterator[None]:
        """A place for ``task``, waited for. One that is larger than all there is gets it once nobody else has any."""
        wanted = needed_bytes(task)
        with self._freed:
            self._freed.wait_for(lambda: self._fits(wanted))
            self._taken_bytes += wanted
        try:
            yield
        finally:
            with self._freed:
                self._taken_bytes -= wanted
                self._freed.notify_all()

    def _fits(self, wanted: int) -> bool:
        return self._total_bytes is None or not self._taken_bytes or self._taken_bytes + wanted <= self._total_bytes
