"""One layer's measurement as the parent follows it, through however many workers it takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from headroom.errors import GpuError
from headroom.measure import protocol
from headroom.measure.bench import Failure
from headroom.measure.process import LostError, SilentError
from headroom.measure.protocol import GarbageError, Message
from headroom.measure.reasons import endless, row_of
from headroom.measure.task import Task
from headroom.store.rows import Implementation, Status, Timing
from headroom.store.steps import DISTURBED, OPERANDS, REST, is_step

Key = tuple[Implementation, str]


@dataclass(frozen=True, slots=True)
class Budgets:
    """Seconds after which patience ends: of one implementation, of a layer, and of a worker that starts.

    ``turn_s`` is for a worker that waits until another one has done with the GPU, which counts as nobody's doing: when
    that is over, measuring ends.
    """

    plan_s: float = 15.0
    layer_s: float = 60.0
    start_s: float = 60.0
    turn_s: float = 300.0


class Visit:
    """The rows of one task as they come in, and whose doing it is if no more do.

    Attributes:
        lost_context: whether the worker has said that it is of no more use.
    """

    def __init__(self, task: Task, budgets: Budgets, known: Sequence[Timing] = ()) -> None:
        """``known`` rows of an earlier visit are not measured again, unless something disturbed them; nor are they
        among this one's rows."""
        self._task, self._budgets = task, budgets
        self._known = [row for row in known if not is_step(row.implementation) and row.status not in DISTURBED]
        self._rows: dict[Key, Timing] = {}
        self._end = time.monotonic() + budgets.layer_s
        self._first: Key = (OPERANDS, task.l2_states[0])
        self._running = self._first
        self._since = time.monotonic()
        self._waiting_since: float | None = None
        self._complete = False
        self.lost_context = False

    @property
    def rows(self) -> tuple[Timing, ...]:
        return tuple(self._rows.values())

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to ask a worker; a row says so where that is for want of time."""
        if not self._complete and time.monotonic() >= self._end:
            self._break_off("before everything was tried")
        return self._complete

    @property
    def deadline(self) -> float:
        """Until when the worker has to say something."""
        if self._waiting_since is not None:
            return self._waiting_since + self._budgets.turn_s
        return min(self._since + self._budgets.plan_s, self._end)

    def request(self) -> Message:
        """What a worker, the first or the next, is asked to do."""
        self.lost_context = False
        self._waiting_since = None
        self._begin(self._first)
        return {
            "ask": "measure",
            "task": self._task.to_json(),
            # Without kernels: a worker that does not read must not block this process on a full pipe.
            "known": [
                protocol.timing_to_json(replace(row, kernels=())) for row in (*self._known, *self._rows.values())
            ],
            "seconds": self._end - time.monotonic(),
        }

    def hear(self, message: Message) -> bool:
        """Take in what the worker says; whether it will say more about this task.

        Raises:
            GarbageError: the message is none.
            LostError: the worker failed by itself.
        """
        match message:
            case {"event": "trying", "implementation": [str(), str(), str(), str()] as names, "l2": str(l2)}:
                key = (Implementation(*names), l2)
                if key != self._running:  # building and timing one implementation are one
                    self._begin(key)
            case {"event": "waiting"}:
                self._waiting_since = time.monotonic()
            case {"event": "running"}:
                self._wait_is_over()
            case {"event": "timing", "timing": dict(data)}:
                row = protocol.timing_from_json(data)
                self._rows[row.implementation, row.l2] = row
            case {"event": "measured"}:
                self._complete = True
                return False
            case {"event": "poisoned"}:
                # Its row is here already: the worker told it before it gave up.
                self.lost_context = True
                return False
            case {"event": "error", "sentence": str(sentence)}:
                raise LostError(f"the worker failed: {sentence}")
            case _:
                raise GarbageError("a message that is none")
        return True

    def blame(self, error: Exception) -> None:
        """Put the loss of a worker down to what was running in it.

        Raises:
            GpuError: it was waiting for the GPU, which nobody gives back: that is no implementation's doing.
        """
        if not isinstance(error, SilentError):
            self._fail(self._running, Failure(Status.FAILED, str(error)))
        elif self._waiting_since is not None:
            raise GpuError(
                f"another process has kept the turn on the GPU for {self._budgets.turn_s:g} s: end it (it may be "
                "stopped), and run again; layers that were done before are kept"
            )
        elif time.monotonic() >= self._end:
            # It had less than its own budget, so that this says nothing of it.
            implementation, _ = self._running
            self._break_off(f"while {implementation.backend} {implementation.name} was running")
        else:
            self._fail(self._running, endless(self._budgets.plan_s))

    def _break_off(self, when: str) -> None:
        reason = f"the layer's {self._budgets.layer_s:g} s were over {when}"
        self._fail((REST, self._first[1]), Failure(Status.TIMEOUT, reason))
        self._complete = True

    def _wait_is_over(self) -> None:
        """Both budgets begin that much later."""
        if self._waiting_since is not None:
            waited_s = time.monotonic() - self._waiting_since
            self._since, self._end = self._since + waited_s, self._end + waited_s
            self._waiting_since = None

    def _begin(self, key: Key) -> None:
        self._running, self._since = key, time.monotonic()

    def _fail(self, key: Key, failure: Failure) -> None:
        self._rows[key] = row_of(failure, *key)
