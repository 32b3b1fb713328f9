"""Takes the time of a program: replays of a CUDA graph between events, in a warm or a cold L2.

Why so, what the states mean and what they leave out: docs/stopwatch.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from headroom.errors import UsageError
from headroom.measure.bench import HopelessError, Reading
from headroom.measure.cuda.gpu_state import GpuState
from headroom.measure.cuda.pace import PRECISE, QUICK, Effort, Pace, pace_of
from headroom.measure.cuda.replay import Event, Player, Replayable

#: A first replay this long needs no second one to be believed, in microseconds.
_LONG_ENOUGH_US = 5_000.0

#: Replays that tell how long one takes. The first also uploads the graph, and where several processes share the GPU one
#: in a hundred takes a quarter of a millisecond longer.
_TRIALS = 4

#: A launch that is shorter gets its samples, however fast others are, in microseconds.
_CHEAP_US = 60.0

#: A launch that looks shorter is looked at :data:`_SEVERAL` times over, in microseconds.
_SHORT_US = 40.0
_SEVERAL = 8

#: Longest pause between two looks at the clock, in seconds.
_LONGEST_PAUSE_S = 0.05

Launch = Callable[[], None]
Turn = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One replay: its time, and the SM clock that was read while it, or its nearest neighbour, ran."""

    time_us: float
    sm_clock_mhz: float | None


class Stopwatch:
    """Times launches on one stream.

    Args:
        player: makes graphs and events.
        state: tells clocks.
        flush: enqueues what replaces the contents of the L2 cache.
        pause: sleeps for that many seconds.
    """

    def __init__(
        self, player: Player, state: GpuState, flush: Launch, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._player, self._state, self._flush, self._pause = player, state, flush, pause
        self._start_us: float | None = None
        self._turn: Turn = nullcontext

    def read(
        self,
        launch: Launch,
        l2: str,
        *,
        precise: bool,
        nothing: Launch | None = None,
        hopeless_us: float = math.inf,
        turn: Turn = nullcontext,
    ) -> Reading:
        """Samples of ``launch``, which has run at least once before.

        Args:
            l2: ``warm``: each launch finds what the one before it left; ``cold``: the cache is flushed before each.
            precise: longer samples, and more of them.
            nothing: a launch of next to no duration, which tells once what a graph's start costs.
            turn: taken around whatever runs on the GPU; what is recorded for later needs none.
            hopeless_us: a launch that is longer is not worth ten samples, unless they are short anyway.

        Raises:
            HopelessError: the first launches took longer than that.
            UsageError: there is no such state.
        """
        if l2 not in ("warm", "cold"):
            raise UsageError(f"the L2 cache is measured warm or cold, not {l2!r}")
        self._turn = turn
        if nothing is not None and self._start_us is None:
            start = self._player.capture(nothing)
            with turn():
                self._start_us = self._once(start)
        effort = PRECISE if precise else QUICK
        before = self._state.clock_events()
        take = self._warm if l2 == "warm" else self._cold
        samples = take(launch, effort, hopeless_us)
        clocks = [sample.sm_clock_mhz for sample in samples if sample.sm_clock_mhz is not None]
        return Reading(
            tuple(sample.time_us for sample in samples),
            tuple(clocks) if len(clocks) == len(samples) else (),
            self._state.memory_clock_mhz(),
            before,
            self._state.clock_events(),
        )

    def _warm(self, launch: Launch, effort: Effort, hopeless_us: float) -> list[Sample]:
        graph, pace = self._paced(effort, hopeless_us, launch)
        (samples,) = self._sampled((graph,), pace)
        return [_shared(sample, pace.launches) for sample in samples]

    def _cold(self, launch: Launch, effort: Effort, hopeless_us: float) -> list[Sample]:
        """Flushes with launches and flushes alone, by turns; what a pair differs by is the launches' time."""
        both, pace = self._paced(effort, hopeless_us, self._flush, launch)
        alone = self._player.capture(self._flush, repeats=pace.launches)
        with_launch, without = self._sampled((both, alone), pace)
        return [
            _shared(Sample(whole.time_us - flushes.time_us, whole.sm_clock_mhz), pace.launches)
            for whole, flushes in zip(with_launch, without, strict=True)
        ]

    def _paced(self, effort: Effort, hopeless_us: float, *launches: Launch) -> tuple[Replayable, Pace]:
        """A graph that is long enough for one sample."""
        single = self._player.capture(*launches)
        # The start of a graph hides most of a short launch: several of them tell how long one is.
        several = self._player.capture(*launches, repeats=_SEVERAL)
        start_us = self._start_us or 0.0
        with self._turn():
            single_us = self._once(single) - start_us
            if single_us < _SHORT_US:
                single_us = (self._once(several) - start_us) / _SEVERAL
        if single_us > max(hopeless_us, _CHEAP_US):
            raise HopelessError(
                f"one launch took {single_us:.0f} us; beyond {hopeless_us:.0f} us, several times the fastest so far, "
                "ten samples are not worth their time"
            )
        pace = pace_of(single_us, effort)
        return single if pace.launches == 1 else self._player.capture(*launches, repeats=pace.launches), pace

    def _once(self, graph: Replayable) -> float:
        """About how long one replay takes: the shortest of a few, since whatever disturbs one makes it longer."""
        shortest_us = math.inf
        for _ in range(_TRIALS):
            start, end = self._enqueued(graph)
            end.synchronize()
            shortest_us = min(shortest_us, 1000 * start.elapsed_time(end))
            if shortest_us > _LONG_ENOUGH_US:
                break
        return shortest_us

    def _enqueued(self, graph: Replayable) -> tuple[Event, Event]:
        start, end = self._player.event(), self._player.event()
        start.record()
        graph.replay()
        end.record()
        return start, end

    def _sampled(self, graphs: Sequence[Replayable], pace: Pace) -> list[list[Sample]]:
        """``pace.samples`` samples of each graph, by turns.

        All are enqueued at once, so that the GPU never waits for the host; meanwhile the clock is read again and
        again, each time on behalf of the sample that is running.
        """
        with self._turn():
            # The first replay of a graph uploads it; that of a single launch was its trial.
            for graph in graphs[0 if pace.launches > 1 else 1 :]:
                graph.replay()
            marks = [self._enqueued(graph) for _ in range(pace.samples) for graph in graphs]
            seen = self._clocks_during([end for _, end in marks])
        samples = [
            Sample(1000 * start.elapsed_time(end), _nearest(seen, index)) for index, (start, end) in enumerate(marks)
        ]
        return [samples[offset :: len(graphs)] for offset in range(len(graphs))]

    def _clocks_during(self, ends: Sequence[Event]) -> dict[int, float]:
        """The clock by index of the sample that was running when it was asked for; until the last has ended."""
        seen: dict[int, float] = {}
        running, began = 0, time.monotonic()
        while True:
            clock = self._state.sm_clock_mhz()
            if clock is not None:
                seen[running] = clock
            while running < len(ends) and ends[running].query():
                running += 1
            if running == len(ends):
                return seen
            # Long samples need few looks: one for each, give or take.
            spent = time.monotonic() - began
            self._pause(min(_LONGEST_PAUSE_S, spent / (2 * running + 2)) if spent > 0.01 else 0.0)


def _nearest(seen: dict[int, float], index: int) -> float | None:
    """What was read during this sample, or during the one closest to it that was caught."""
    if not seen:
        return None
    return seen[min(seen, key=lambda caught: abs(caught - index))]


def _shared(sample: Sample, launches: int) -> Sample:
    return Sample(sample.time_us / launches, sample.sm_clock_mhz)
