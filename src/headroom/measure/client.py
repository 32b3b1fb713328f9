"""The parent's side of measuring: ask a worker, outlive it, replace it.

Everything that can happen to the worker while it runs an implementation (abort, hang, garbage on the pipe) becomes
that implementation's row; then the next worker goes on with the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from headroom.errors import GpuError
from headroom.measure import protocol
from headroom.measure.bench import Facts
from headroom.measure.jobs import LIMIT_S
from headroom.measure.process import BURIAL_S, LostError, SilentError, WorkerProcess
from headroom.measure.protocol import GarbageError, Message
from headroom.measure.task import Task
from headroom.measure.visit import Budgets, Visit
from headroom.store.rows import Timing

#: Layers that one process measures. PyTorch's compiler and CUDA keep every kernel that they ever loaded; a new process
#: takes a few seconds.
MOST_LAYERS = 400


class Worker:
    """A GPU's worker process, replaced whenever it is lost; a context manager that leaves none behind.

    Attributes:
        found: the GPU and its libraries, once a worker has told.
        waited_s: seconds that this process has spent waiting for the worker.
        replaced: how many workers were lost.
        has_started: whether there ever was a process; while it is replaced, the old one may linger on the GPU.
    """

    def __init__(
        self, gpu: int = 0, budgets: Budgets | None = None, *, admit: Callable[[], None] = lambda: None
    ) -> None:
        """``admit`` is called before the first process starts, and refuses by raising."""
        self.gpu = gpu
        self.found: Facts | None = None
        self.waited_s = 0.0
        self.replaced = 0
        self.has_started = False
        self._budgets = budgets or Budgets()
        self._admit = admit
        self._process: WorkerProcess | None = None
        self._is_ready = False
        self._is_retired = False
        self._served = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, patience_s: float = BURIAL_S) -> None:
        """End the worker and whatever it runs, and wait for that at most ``patience_s`` seconds."""
        # Another thread may close it at the same moment: only one of them gets hold of the process.
        process, self._process = self._process, None
        self._is_ready = False
        if process is not None:
            process.kill(patience_s)

    def retire(self) -> None:
        """End the worker for good, whichever thread is waiting for it, without waiting until it is gone."""
        self._is_retired = True
        process = self._process
        if process is not None:
            process.end()

    def facts(self) -> Facts:
        """The GPU and its libraries, as the worker finds them.

        Raises:
            GpuError: the worker cannot start, or cannot use the GPU; the sentence is its own.
        """
        if self.found is None or not self._is_ready:
            if self.found is None:
                self._admit()
            self.found, self._is_ready = self._start(), True
        return self.found

    def measure(self, task: Task, known: Sequence[Timing] = ()) -> tuple[Timing, ...]:
        """Every implementation's rows, within the layer's budget; ``known`` ones are left as they are.

        Raises:
            GpuError: a worker that was lost cannot be replaced, or nobody gives the GPU back.
        """
        visit = Visit(task, self._budgets, known)
        while not visit.is_over:
            self.facts()
            self._ask(visit.request())
            try:
                while visit.hear(self._receive(visit.deadline)):
                    pass
            except (LostError, GarbageError) as error:
                self._lose()
                visit.blame(error)
            else:
                if visit.lost_context:
                    self._lose()
        self._retire_old()
        return visit.rows

    def run_job(
        self,
        name: str,
        arguments: Message,
        *,
        on_progress: Callable[[Message], None] | None = None,
        limit_s: float = LIMIT_S,
    ) -> Message:
        """Run a job (:mod:`headroom.measure.jobs`) and wait for its result.

        Raises:
            GpuError: the worker died or took longer than ``limit_s``.
            HeadroomError: whatever the job itself raised.
        """
        deadline = time.monotonic() + limit_s
        self._ask({"ask": "job", "job": name, "arguments": arguments})
        try:
            while True:
                match self._receive(deadline):
                    case {"event": "progress", "progress": dict(progress)}:
                        if on_progress is not None:
                            on_progress(progress)
                    case {"event": "result", "result": dict(result)}:
                        return result
                    case {"event": "error"} as message:
                        raise protocol.error_from_json(message)
        except SilentError as error:
            self._lose()
            raise GpuError(f"{name} was stopped after {limit_s:.0f} s on GPU {self.gpu}; give it more time") from error
        except LostError as error:
            self._lose()
            raise GpuError(f"{name} failed on GPU {self.gpu}: {error}") from error

    def _start(self) -> Facts:
        """Start a process and wait until it has its GPU."""
        deadline = time.monotonic() + self._budgets.start_s
        self._ask({"ask": "facts"})
        try:
            match self._receive(deadline):
                case {"event": "facts", "facts": dict(facts)}:
                    return protocol.facts_from_json(facts)
                case {"event": "error"} as message:
                    raise protocol.error_from_json(message)
            raise GarbageError("no facts")
        except SilentError as error:
            seconds = f"{self._budgets.start_s:g} s"
            raise GpuError(f"GPU {self.gpu} was not ready within {seconds}; see whether nvidia-smi answers") from error
        except (LostError, GarbageError) as error:
            raise GpuError(f"the process that measures on GPU {self.gpu} cannot start: {error}") from error

    def _ask(self, request: Message) -> None:
        if self._is_retired:
            raise GpuError(f"measuring on GPU {self.gpu} has ended")
        if self._process is None:
            self.has_started, self._served = True, 0
        process = self._process = self._process or WorkerProcess(self.gpu)
        process.send(request)
        if self._is_retired:
            self.close()

    def _receive(self, deadline: float) -> Message:
        process, begin = self._process, time.monotonic()
        if process is None:
            raise LostError("it was ended")
        try:
            return process.receive(deadline)
        finally:
            self.waited_s += time.monotonic() - begin

    def _retire_old(self) -> None:
        """Let a process go that has served long: whatever libraries keep of each layer goes with it."""
        self._served += 1
        if self._served >= MOST_LAYERS:
            self.close()

    def _lose(self) -> None:
        """Give up on a worker; the next question starts another."""
        self.close()
        self.replaced += 1
