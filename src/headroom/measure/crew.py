"""Several workers on one GPU: while it is one's turn to run, the others compile."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from headroom.measure.bench import Facts
from headroom.measure.client import Worker
from headroom.measure.process import BURIAL_S
from headroom.measure.room import Room
from headroom.measure.task import Task
from headroom.measure.turn import CAN_TAKE_TURNS
from headroom.measure.visit import Budgets
from headroom.store.rows import Timing

#: More workers than this only wait for each other's turns.
MOST_WORKERS = 12

#: GPU memory for each worker, in bytes: its context and libraries take half a GiB before it has a single operand.
WORKER_BYTES = 6 << 30


def default_size(memory_bytes: int, gpus: int = 1) -> int:
    """A worker for most of the processor cores that fall to each of ``gpus``, as far as a GPU with ``memory_bytes`` of
    memory holds them."""
    cores = (os.cpu_count() or 1) // gpus
    return max(1, min(MOST_WORKERS, cores * 3 // 4, memory_bytes // WORKER_BYTES)) if CAN_TAKE_TURNS else 1


@dataclass(frozen=True)
class Done:
    """A task with its rows, and the seconds that it took."""

    task: Task
    rows: tuple[Timing, ...]
    seconds: float


class Crew:
    """The workers of one GPU; a context manager that leaves none behind. They start as they are needed."""

    def __init__(
        self,
        gpu: int = 0,
        budgets: Budgets | None = None,
        *,
        size: int,
        admit: Callable[[], None] = lambda: None,
    ) -> None:
        """``admit`` is called before the first process starts, and refuses by raising."""
        first = Worker(gpu, budgets, admit=admit)
        self._workers = [first, *(Worker(gpu, budgets) for _ in range(size - 1))]
        self._hands: dict[Worker, _Hand] = {}
        self._spent_s = self._waited_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every worker and whatever it runs, all at once; none starts again."""
        for worker in self._workers:
            worker.retire()
        deadline = time.monotonic() + BURIAL_S
        for worker in self._workers:
            worker.close(max(0.0, deadline - time.monotonic()))
        for hand in self._hands.values():
            hand.give(None)

    @property
    def size(self) -> int:
        return len(self._workers)

    @property
    def started(self) -> int:
        """How many workers may have a process on the GPU."""
        return sum(worker.has_started for worker in self._workers)

    @property
    def replaced(self) -> int:
        """How many workers were lost."""
        return sum(worker.replaced for worker in self._workers)

    @property
    def parent_share(self) -> float:
        """Share of the workers' time in which they waited for this process, not it for them."""
        return 1.0 - self._waited_s / self._spent_s if self._spent_s else 0.0

    def facts(self) -> Facts:
        """The GPU and its libraries; see :meth:`Worker.facts`."""
        return self._workers[0].facts()

    def measure(
        self,
        tasks: Iterator[Task],
        known: Callable[[Task], Sequence[Timing]] = lambda task: (),
        *,
        most: int | None = None,
    ) -> Iterator[Done]:
        """The tasks' rows as they are done. ``tasks`` is asked for the next one whenever a worker is free.

        May be asked again and again: workers stay, and those that are there already come first.

        Args:
            known: rows of a task that are left as they are; called from several threads.
            most: tasks that there are at most; more workers than that are not started.

        Raises:
            GpuError: a worker cannot be started or replaced.
        """
        results: queue.SimpleQueue[Done | BaseException | None] = queue.SimpleQueue()
        taking, room = threading.Lock(), self._room()

        def next_task() -> Task | None:
            with taking:
                return next(tasks, None)

        def serve(worker: Worker) -> None:
            begin, waited_before_s = time.monotonic(), worker.waited_s
            try:
                while (task := next_task()) is not None:
                    with room.of(task):
                        start = time.monotonic()
                        results.put(Done(task, worker.measure(task, known(task)), time.monotonic() - start))
            except BaseException as error:  # noqa: BLE001 - whoever waits for the results raises it
                results.put(error)
            finally:
                with taking:
                    self._spent_s += time.monotonic() - begin
                    self._waited_s += worker.waited_s - waited_before_s
                results.put(None)

        ready_first = sorted(self._workers, key=lambda worker: not worker.has_started)
        serving = 0
        for worker in ready_first[:most]:
            self._hands.setdefault(worker, _Hand()).give(partial(serve, worker))
            serving += 1
        while serving:
            match results.get():
                case None:
                    serving -= 1
                case BaseException() as error:
                    raise error
                case Done() as done:
                    yield done

    def _room(self) -> Room:
        """What the GPU's memory has left for operands beside what every worker takes anyway."""
        found = self._workers[0].found
        return Room(None if found is None else max(0, found.memory_bytes - self.size * WORKER_BYTES))


class _Hand:
    """A thread that does what it is given, one thing after the other: it lives as long as the crew, because a worker
    process dies with the thread that started it."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def give(self, act: Callable[[], None] | None) -> None:
        """What to do next; ``None`` ends the thread."""
        self._inbox.put(act)

    def _work(self) -> None:
        for act in iter(self._inbox.get, None):
            act()
