"""The loop over the implementations of one chain: build, check, time; then the fastest few again, with care.

Every implementation gets a row: a time, or the reason why there is none. Whatever is about to run is announced
first, so that if the process dies of it, the parent knows whose doing that is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from headroom.measure.bench import Backend, Bench, Candidate, Check, Failure, Operands, Reading, UnsupportedError
from headroom.measure.finalists import Built, Finalists, fastest
from headroom.measure.task import Task
from headroom.measure.verdict import timing_of, together
from headroom.store.rows import Implementation, Status, Timing
from headroom.text import plain_line

T = TypeVar("T")

#: Share of a layer's seconds for trying implementations; the rest is for timing the fastest again.
TRYING_SHARE = 0.8

#: Pause before those that were throttled are timed once more.
COOLING_S = 1.0

_REASON_CHARACTERS = 300

#: What a row is called that stands for no implementation but for a step that all of them need, and for what is left.
OPERANDS = Implementation("bench", "operands")
REST = Implementation("bench", "rest")


class Tell(Protocol):
    """Where the loop says what it does, as it does it."""

    def trying(self, implementation: Implementation, l2: str) -> None:
        """From now on whatever happens is this one's doing."""

    def timing(self, timing: Timing) -> None:
        """A row. One that was told earlier for the same implementation and cache state is replaced."""


class PoisonedError(Exception):
    """The GPU's context is lost: nothing else can run in this process."""


class WrongOutputError(Exception):
    """An implementation does not compute what the reference computes."""

    def __init__(self, check: Check) -> None:
        wrong = f"its output is wrong by {check.relative_error:.2g} of the reference"
        if not math.isfinite(check.relative_error):
            wrong = "its output holds values that are not numbers"
        super().__init__(f"{wrong}; tolerated are {check.tolerance:.2g}")
        self.check = check


def measure_layer(task: Task, bench: Bench, tell: Tell, *, known: Sequence[Timing] = (), seconds: float = 60.0) -> None:
    """Measure every implementation of ``task.chain`` and tell each row.

    Args:
        known: rows from a process that died over this task: they are not tried again, but the fastest of them may be
            among those that are timed with care.
        seconds: when they are nearly over no further implementation is begun, and a row says so.

    Raises:
        PoisonedError: after the row of the implementation that did it.
    """
    loop = _Loop(task, bench, tell, known, seconds)
    operands = loop.attempt(OPERANDS, lambda: bench.operands(task))
    if operands is not None:
        loop.try_all(operands)
        loop.time_finalists(operands)
    if not loop.rows:
        tell.timing(Timing(OPERANDS, loop.l2, Status.UNSUPPORTED, "no library here runs it", measured_at=_now()))


class _Loop:
    """What is known about the implementations of one chain while they are measured."""

    def __init__(self, task: Task, bench: Bench, tell: Tell, known: Sequence[Timing], seconds: float) -> None:
        self._task, self._bench, self._tell = task, bench, tell
        self.l2 = "warm" if "warm" in task.l2_states else task.l2_states[0]
        self.rows = {(row.implementation, row.l2): row for row in known}
        self._failed = {row.implementation for row in known if row.median_us is None}
        self._facts = bench.facts()
        self._start, self._seconds = time.monotonic(), seconds
        self._candidates: dict[Implementation, Candidate] = {}
        self._finalists = Finalists()

    def attempt(self, implementation: Implementation, act: Callable[[], T], l2: str = "") -> T | None:
        """What ``act`` returns, or ``None`` and a row that says why not."""
        if implementation in self._failed:
            return None
        self._tell.trying(implementation, l2 or self.l2)
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - whatever a library raises is the answer of this implementation
            failure, check = self._meaning(error)
        if failure.status is Status.OOM and self._finalists.free():
            # What was kept for later may be what was in its way.
            return self.attempt(implementation, act, l2)
        self._keep(self._row(implementation, l2 or self.l2, failure, check))
        if failure.poisoned:
            raise PoisonedError(failure.reason)
        return None

    def try_all(self, operands: Operands) -> None:
        """Build, check and time, once and briefly, whatever the libraries offer."""
        for name, reason in self._bench.missing_backends.items():
            left_out = Failure(Status.UNSUPPORTED, f"this library is left out: {reason}")
            self._keep(self._row(Implementation(name, "candidates"), self.l2, left_out))
        for candidate in self._offered(operands):
            implementation = candidate.implementation
            if self._spent() > TRYING_SHARE * self._seconds:
                self._keep(self._row(REST, self.l2, _untried(implementation, self._seconds)))
                return
            tried = self.attempt(implementation, lambda: self._tried(candidate, operands))  # noqa: B023 - called at once
            if tried is not None:
                reading, built = tried
                row = timing_of(reading, *built, self._facts, implementation, self.l2, _now())
                self._keep(row)
                self._finalists.offer(row, built)

    def time_finalists(self, operands: Operands) -> None:
        """Time the fastest few again, by turns, in every state of the cache that is asked for."""
        brief = [row for row in self.rows.values() if row.l2 == self.l2 and row.implementation not in self._failed]
        programs = {}
        for implementation in fastest(brief):
            built = self._finalists.get(implementation) or self._rebuilt(implementation, operands)
            if built is not None:
                programs[implementation] = built
        for l2 in sorted(self._task.l2_states, key=lambda state: state != self.l2):
            throttled = self._time_by_turns(programs, l2)
            if throttled and self._spent() + COOLING_S < self._seconds:
                time.sleep(COOLING_S)
                self._time_by_turns(throttled, l2)

    def _offered(self, operands: Operands) -> Iterator[Candidate]:
        """Every implementation that the libraries list and that has no row yet."""
        for backend in self._bench.backends:
            for candidate in self._listed(backend, operands):
                new = candidate.implementation not in self._candidates
                self._candidates[candidate.implementation] = candidate
                if new and (candidate.implementation, self.l2) not in self.rows:
                    yield candidate

    def _listed(self, backend: Backend, operands: Operands) -> Iterator[Candidate]:
        """What one library lists; where it fails at that, it lists no more."""
        listing = Implementation(backend.name, "candidates")
        candidates = self.attempt(listing, lambda: iter(backend.candidates(self._task, operands)))
        while candidates is not None:
            candidate = self.attempt(listing, lambda: next(candidates, None))
            if candidate is None:
                return
            yield candidate

    def _tried(self, candidate: Candidate, operands: Operands) -> tuple[Reading, Built]:
        built = self._built(candidate, operands)
        return self._bench.time(built[0], self.l2, precise=False), built

    def _built(self, candidate: Candidate, operands: Operands) -> Built:
        """The program, checked: no time counts before that."""
        program = candidate.build()
        check = self._bench.check(program, self._task, operands)
        if not check.passed:
            raise WrongOutputError(check)
        return program, check

    def _rebuilt(self, implementation: Implementation, operands: Operands) -> Built | None:
        """A finalist that was let go, or that an earlier process built."""
        candidate = self._candidates.get(implementation)
        if candidate is None:
            return None
        return self.attempt(implementation, lambda: self._built(candidate, operands))

    def _time_by_turns(self, programs: dict[Implementation, Built], l2: str) -> dict[Implementation, Built]:
        """Time each twice, there and back again, so that a drift of the clock meets all alike; who was throttled."""
        readings: dict[Implementation, Reading] = {}
        for implementation in (*programs, *reversed(programs)):
            if self._spent() > self._seconds:
                break
            program = programs[implementation][0]
            reading = self.attempt(implementation, lambda: self._bench.time(program, l2, precise=True), l2)  # noqa: B023
            if reading is not None:
                earlier = readings.get(implementation)
                readings[implementation] = together(earlier, reading) if earlier else reading
        throttled = {}
        for implementation, reading in readings.items():
            if implementation in self._failed:
                continue
            row = timing_of(reading, *programs[implementation], self._facts, implementation, l2, _now())
            self._keep(row)
            if row.status is Status.THROTTLED:
                throttled[implementation] = programs[implementation]
        return throttled

    def _keep(self, row: Timing) -> None:
        self.rows[row.implementation, row.l2] = row
        if row.median_us is None:
            self._failed.add(row.implementation)
        self._tell.timing(row)

    def _row(self, implementation: Implementation, l2: str, failure: Failure, check: Check | None = None) -> Timing:
        """The row of an implementation that has no time."""
        return Timing(
            implementation,
            l2,
            failure.status,
            plain_line(failure.reason, _REASON_CHARACTERS),
            relative_error=check.relative_error if check and math.isfinite(check.relative_error) else None,
            tolerance=check.tolerance if check else None,
            needed_bytes=failure.needed_bytes,
            free_bytes=failure.free_bytes,
            gpu_uuid=self._facts.gpu_uuid,
            measured_at=_now(),
        )

    def _meaning(self, error: Exception) -> tuple[Failure, Check | None]:
        match error:
            case WrongOutputError():
                return Failure(Status.FAILED, str(error)), error.check
            case UnsupportedError():
                return Failure(Status.UNSUPPORTED, str(error)), None
        return self._bench.failure(error), None

    def _spent(self) -> float:
        return time.monotonic() - self._start


def _untried(implementation: Implementation, seconds: float) -> Failure:
    at = f"{implementation.backend} {implementation.name}"
    return Failure(Status.TIMEOUT, f"the layer's {seconds:.0f} s were over: {at} and what follows it was not tried")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
