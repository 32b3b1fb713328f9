"""The loop over the implementations of one chain: build, check, time; then the fastest few again, with care.

Every implementation gets a row: a time, or the reason why there is none. Whatever is about to run is announced
first, so that if the process dies of it, the parent knows whose doing that is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from headroom.measure.bench import Backend, Bench, Candidate, Check, Failure, Operands, Program, Reading
from headroom.measure.calm import calmest
from headroom.measure.finalists import Built, Finalists, fastest, shortest_us
from headroom.measure.reasons import (
    WrongOutputError,
    is_endless,
    left_out,
    like_endless,
    meaning_of,
    now,
    row_of,
    untried,
)
from headroom.measure.task import Task
from headroom.measure.tell import Tell
from headroom.measure.verdict import timing_of, together
from headroom.store.rows import Implementation, Status, Timing
from headroom.store.steps import OPERANDS, REST, library_of, listing_of

T = TypeVar("T")

#: Share of a layer's seconds for trying implementations; the rest is for timing the fastest again.
TRYING_SHARE = 0.8

#: How many times slower than the fastest so far an implementation is not worth ten samples.
HOPELESS = 8.0

#: How many of the finalists are timed in the other state of the cache: the order rarely changes.
CONTENDERS = 2

#: Pause before those that were throttled are timed once more.
COOLING_S = 1.0


class PoisonedError(Exception):
    """The GPU's context is lost: nothing else can run in this process."""


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
    operands = loop.attempt(OPERANDS, loop.operands)
    if operands is not None:
        loop.try_all(operands)
        loop.time_finalists(operands)
    if not loop.rows:
        tell.timing(row_of(Failure(Status.UNSUPPORTED, "no library here runs it"), OPERANDS, loop.l2))


class _Loop:
    """What is known about the implementations of one chain while they are measured."""

    def __init__(self, task: Task, bench: Bench, tell: Tell, known: Sequence[Timing], seconds: float) -> None:
        self._task, self._bench, self._tell = task, bench, tell
        self.l2 = "warm" if "warm" in task.l2_states else task.l2_states[0]
        self.rows = {(row.implementation, row.l2): row for row in known}
        self._failed = {row.implementation for row in known if row.median_us is None}
        self._endless = {_engine_of(row.implementation) for row in known if is_endless(row)}
        self._facts = bench.facts()
        self._start, self._seconds = time.monotonic(), seconds
        self._candidates: dict[Implementation, Candidate] = {}
        self._finalists = Finalists()

    def operands(self) -> Operands:
        with self._turn():
            return self._bench.operands(self._task)

    def attempt(self, implementation: Implementation, act: Callable[[], T], l2: str = "") -> T | None:
        """What ``act`` returns, or ``None`` and a row that says why not."""
        if implementation in self._failed:
            return None
        self._tell.trying(implementation, l2 or self.l2)
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - whatever a library raises is the answer of this implementation
            failure, check = meaning_of(error, self._bench), getattr(error, "check", None)
        if failure.status is Status.OOM and self._finalists.free():
            # What was kept for later may be what was in its way.
            return self.attempt(implementation, act, l2)
        self._fail(failure, implementation, l2, check)
        if failure.poisoned:
            raise PoisonedError(failure.reason)
        return None

    def try_all(self, operands: Operands) -> None:
        """Build, check and time, once and briefly, whatever the libraries offer."""
        for name, reason in self._bench.missing_backends.items():
            self._fail(left_out(reason), library_of(name))
        for wanted in (self._task.only, ()):
            # Where none of those that are likely has a time, there is no telling which would be: all are tried.
            if self._try_offered(operands, wanted) or not wanted:
                return

    def _try_offered(self, operands: Operands, wanted: Collection[Implementation]) -> bool:
        """Try those of ``wanted`` that are offered, or all if it is empty; whether any has a time, or time is up."""
        for candidate in self._offered(operands):
            if wanted and candidate.implementation not in wanted:
                continue
            if self._spent() > TRYING_SHARE * self._seconds:
                self._fail(untried(candidate.implementation, self._seconds), REST)
                return True
            if _engine_of(candidate.implementation) in self._endless:
                # Each such set of knobs would keep the GPU from all others until patience ends.
                self._fail(like_endless(candidate.implementation.engine), candidate.implementation)
                continue
            self._try(candidate, operands)
        return any(row.median_us is not None for row in self.rows.values())

    def time_finalists(self, operands: Operands) -> None:
        """Time the fastest few again, by turns, in every state of the cache that is asked for."""
        brief = [row for row in self.rows.values() if row.l2 == self.l2 and row.implementation not in self._failed]
        programs = {}
        for implementation in fastest(brief):
            built = self._finalists.get(implementation) or self._rebuilt(implementation, operands)
            if built is not None:
                programs[implementation] = built
        for l2 in sorted(self._task.l2_states, key=lambda state: state != self.l2):
            contenders = programs if l2 == self.l2 else dict(islice(programs.items(), CONTENDERS))
            throttled = self._time_by_turns(contenders, l2)
            if throttled and self._spent() + COOLING_S < self._seconds:
                time.sleep(COOLING_S)
                self._time_by_turns(throttled, l2)

    def _offered(self, operands: Operands) -> Iterator[Candidate]:
        """Every implementation that the libraries list and that has no row yet."""
        for backend in self._bench.backends:
            for candidate in self._listed(backend, operands):
                self._candidates[candidate.implementation] = candidate
                if (candidate.implementation, self.l2) not in self.rows:
                    yield candidate

    def _listed(self, backend: Backend, operands: Operands) -> Iterator[Candidate]:
        """What one library lists; where it fails at that, it lists no more."""
        listing = listing_of(backend.name)
        candidates = self.attempt(listing, lambda: iter(backend.candidates(self._task, operands)))
        while candidates is not None:
            candidate = self.attempt(listing, lambda: next(candidates, None))
            if candidate is None:
                return
            yield candidate

    def _try(self, candidate: Candidate, operands: Operands) -> None:
        tried = self.attempt(candidate.implementation, lambda: self._tried(candidate, operands))
        if tried is not None:
            reading, built = tried
            row = timing_of(reading, *built, self._facts, candidate.implementation, self.l2, now())
            self._keep(row)
            self._finalists.offer(row, built)

    def _tried(self, candidate: Candidate, operands: Operands) -> tuple[Reading, Built]:
        built = self._built(candidate, operands)
        # Rows of an earlier process count too: what they found may be faster than all that is left.
        hopeless_us = HOPELESS * shortest_us(row for row in self.rows.values() if row.l2 == self.l2)
        return self._bench.time(built[0], self.l2, precise=False, hopeless_us=hopeless_us, turn=self._turn), built

    def _built(self, candidate: Candidate, operands: Operands) -> Built:
        program = candidate.build()
        with self._turn():
            return self._checked(program, operands)

    def _checked(self, program: Program, operands: Operands) -> Built:
        """The program once its output is right: no time counts before that."""
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
        """Time each by turns, and give back who was throttled.

        In the state that decides, twice, there and back again, so that a drift of the clock meets all alike. The other
        state is timed once: with its flushes that takes as long, and its samples are differences of neighbours anyway.
        """
        readings: dict[Implementation, Reading] = {}
        back = reversed(programs) if l2 == self.l2 else ()
        for implementation in (*programs, *back):
            if self._spent() > self._seconds:
                break
            program = programs[implementation][0]
            reading = self.attempt(implementation, lambda: self._calm_reading(program, l2), l2)  # noqa: B023
            if reading is not None:
                earlier = readings.get(implementation)
                readings[implementation] = together(earlier, reading) if earlier else reading
        throttled = {}
        for implementation, reading in readings.items():
            if implementation in self._failed:
                continue
            row = timing_of(reading, *programs[implementation], self._facts, implementation, l2, now())
            self._keep(row)
            if row.status is Status.THROTTLED:
                throttled[implementation] = programs[implementation]
        return throttled

    def _calm_reading(self, program: Program, l2: str) -> Reading:
        return calmest(lambda: self._bench.time(program, l2, precise=True, turn=self._turn), l2)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The GPU to this process alone. Waiting for it is nobody's doing, so it counts against no budget."""
        self._tell.waiting()
        asked = time.monotonic()
        with self._bench.turn():
            self._start += time.monotonic() - asked
            self._tell.running()
            yield

    def _fail(self, failure: Failure, implementation: Implementation, l2: str = "", check: Check | None = None) -> None:
        uuid = self._facts.gpu_uuid
        self._keep(row_of(failure, implementation, l2 or self.l2, gpu_uuid=uuid, check=check))

    def _keep(self, row: Timing) -> None:
        self.rows[row.implementation, row.l2] = row
        if row.median_us is None:
            self._failed.add(row.implementation)
        self._tell.timing(row)

    def _spent(self) -> float:
        return time.monotonic() - self._start


def _engine_of(implementation: Implementation) -> tuple[str, str, str]:
    return implementation.backend, implementation.engine, implementation.layout
