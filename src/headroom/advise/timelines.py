"""What a recorded step would take with part of it gone: the host's timeline and the GPU's, replayed together.

The host asks for launches one after another; the GPU runs those of a stream in order, each as soon as it was asked for
and its predecessor is done. Whichever of the two is behind sets the latency, so that a saving on the other is none:
sums of durations cannot tell, a replay can.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from headroom.advise.measurements import REPEATABILITY_PCT
from headroom.measure.profiles.profile import Step

#: Microseconds between two kernels of a stream whose queue is never empty (median over recorded steps of an H200).
QUEUE_GAP_US = 1.2

#: The same inside a replayed CUDA graph: latency without a profiler less the kernels' recorded time, per node.
GRAPH_GAP_US = 0.25

#: From a host's call to the first instruction on an idle GPU, recorded.
LAUNCH_DELAY_US = 7.0

#: What a recorder adds to each node of a replayed graph: the median over 12 networks timed with and without PyTorch's
#: profiler.
NODE_COST_US: Mapping[str, float] = {"pytorch": 0.15}

#: Share of a recorded step's host time that is left without the profiler: the median over 33 runs of 12 networks timed
#: with and without PyTorch's profiler recording shapes. Other recorders cost little.
HOST_SHARE: Mapping[str, float] = {"pytorch": 0.667}

#: No recorder multiplies the host's work by more than the inverse of this.
_LEAST_SHARE = 0.25

#: How far off that share may be, as a share of it: 45 of 48 runs of 12 networks without the profiler lie within. Most
#: of the 36 that followed their recording lie within a tenth; the hosts of other days were up to 1.8 times as fast.
HOST_ERROR = 0.45

#: The same where the recorder costs the host little, so that it was seen at its own speed.
SEEN_HOST_ERROR = 0.09

Interval = tuple[float, float]


@dataclass(frozen=True)
class Change:
    """What is different from the recorded step.

    ``launches`` (indices) are not run; ``host`` are stretches of the host's recorded time, in us, that it does not
    spend; ``gpu_us`` gives launches another duration; at ``waits`` (indices) the host no longer waits for the GPU.
    ``added`` are launches that come on top behind one that was recorded: the host's time for them (as if recorded) and
    the GPU's.
    """

    launches: frozenset[int] = frozenset()
    host: tuple[Interval, ...] = ()
    gpu_us: Mapping[int, float] = field(default_factory=dict)
    waits: frozenset[int] = frozenset()
    added: Mapping[int, tuple[float, float]] = field(default_factory=dict)

    def __or__(self, other: Change) -> Change:
        """Both at once."""
        return Change(
            self.launches | other.launches,
            (*self.host, *other.host),
            {**self.gpu_us, **other.gpu_us},
            self.waits | other.waits,
            {**self.added, **other.added},
        )


NOTHING = Change()


@dataclass(frozen=True)
class Timelines:
    """A step that can be replayed. ``host_share`` shortens the host's time: what recording it cost is no user's.

    ``host_error`` is how far off that share may be, as a share of it. ``graph_gap_us`` lies between two nodes of a
    replayed graph. Where replays follow one another (``is_queued``) the host asked for this one long before.
    """

    step: Step
    host_share: float = 1.0
    host_error: float = SEEN_HOST_ERROR
    graph_gap_us: float = GRAPH_GAP_US
    is_queued: bool = False

    @classmethod
    def of(cls, step: Step, recorder: str, told_us: float | None = None, own_share: float = 1.0) -> Timelines:
        """The step as it runs without the recorder, or as it must run if its latency was measured as ``told_us``.

        ``own_share`` of the host's time was its own work (:func:`headroom.advise.held_up.own_share`).
        """
        if step.launches and all(launch.graph for launch in step.launches):
            return cls._replayed(step, recorder, told_us)
        error = HOST_ERROR if recorder in HOST_SHARE else SEEN_HOST_ERROR
        found = cls(step, HOST_SHARE.get(recorder, 1.0) * own_share, error)
        if told_us is None or not cls(step, _LEAST_SHARE).latency_us() < told_us < 0.98 * cls(step).latency_us():
            # As recorded, or a time that no speed of the host explains: it was taken in another way.
            return found
        low, high = _LEAST_SHARE, 1.0
        for _ in range(20):
            share = 0.5 * (low + high)
            shorter = cls(step, share).latency_us() < told_us
            low, high = (share, high) if shorter else (low, share)
        return cls(step, high, REPEATABILITY_PCT / 100)

    @classmethod
    def _replayed(cls, step: Step, recorder: str, told_us: float | None) -> Timelines:
        """A step that is all replayed graph: its nodes lie as they were seen, less what the recorder put between."""
        nodes = len(step.launches)
        taken_us = step.gpu_span_us - nodes * NODE_COST_US.get(recorder, 0.0) if told_us is None else told_us
        gap_us = max(0.0, taken_us - step.gpu_busy_us) / max(1, nodes - 1)
        return cls(step, HOST_SHARE.get(recorder, 1.0), SEEN_HOST_ERROR, gap_us, is_queued=not step.waits)

    def latency_us(self, change: Change = NOTHING) -> float:
        """From the step's start to the later of the host's and the GPU's end."""
        gone = _merged((*change.host, *self._waited))
        free: dict[int, float] = {}
        host_us = done_us = reached_us = 0.0
        waits = iter([moment for moment, index in self._wait_times if index not in change.waits])
        next_wait = next(waits, None)
        for index, asked_us in self._asked:
            while next_wait is not None and next_wait <= asked_us:
                host_us, reached_us = max(host_us + self._host(reached_us, next_wait, gone), done_us), next_wait
                next_wait = next(waits, None)
            host_us += self._host(reached_us, asked_us, gone)
            reached_us = asked_us
            if index in change.launches:
                continue
            launch = self.step.launches[index]
            gap_us = self.graph_gap_us if launch.graph else QUEUE_GAP_US
            ready_us = 0.0 if self.is_queued else host_us + LAUNCH_DELAY_US
            start_us = max(ready_us, free.get(launch.stream, -gap_us) + gap_us)
            free[launch.stream] = start_us + change.gpu_us.get(index, launch.duration_us)
            if index in change.added:
                added_host_us, added_gpu_us = change.added[index]
                host_us += 0.0 if launch.graph else added_host_us * self.host_share
                free[launch.stream] = max(free[launch.stream] + gap_us, host_us + LAUNCH_DELAY_US) + added_gpu_us
            done_us = max(done_us, free[launch.stream])
        if next_wait is not None:
            host_us, reached_us = max(host_us + self._host(reached_us, next_wait, gone), done_us), next_wait
        return done_us if self.is_queued else max(host_us + self._host(reached_us, self.host_end_us, gone), done_us)

    def saves_us(self, change: Change) -> float:
        """How much earlier the step ends; never less than nothing."""
        return max(0.0, self.latency_us() - self.latency_us(change))

    def saves(self, change: Change) -> tuple[float, float]:
        """How much earlier the step ends, with its error bar in percent.

        The host's speed is not known exactly; where it and the GPU are nearly even, that decides what a change saves.
        """
        found_us = self.saves_us(change)
        if not found_us:
            return 0.0, 100.0
        others = [each.saves_us(change) for each in self.other_hosts]
        return found_us, saving_error_pct(found_us, others, 0.01 * REPEATABILITY_PCT * found_us)

    @cached_property
    def other_hosts(self) -> tuple[Timelines, Timelines]:
        """The same on the fastest and on the slowest host that it may have been."""
        low, high = (self.host_share * (1 - self.host_error), self.host_share * (1 + self.host_error))
        return replace(self, host_share=low), replace(self, host_share=high)

    @cached_property
    def error_us(self) -> float:
        """How far off :meth:`latency_us` may be because the host's speed is not known; next to nothing where the GPU
        sets the pace."""
        found_us = self.latency_us()
        return max(abs(each.latency_us() - found_us) for each in self.other_hosts)

    @cached_property
    def host_us(self) -> float:
        """The host's own time: what a step takes on a GPU without end."""
        return self._host(0.0, self.host_end_us, _merged(self._waited))

    @cached_property
    def gpu_us(self) -> float:
        """What the GPU takes for the launches if it never waits for the host."""
        return sum(
            each.duration_us + (self.graph_gap_us if each.graph else QUEUE_GAP_US) for each in self.step.launches
        )

    @cached_property
    def replayed_us(self) -> float:
        """The step as one replayed CUDA graph: launches back to back, asked for at once."""
        return self.replayed_with(NOTHING)

    def replayed_with(self, change: Change) -> float:
        """The same after ``change``."""
        launches = enumerate(self.step.launches)
        kept_us = [change.gpu_us.get(i, each.duration_us) for i, each in launches if i not in change.launches]
        added_us = [gpu_us for _, gpu_us in change.added.values()]
        return LAUNCH_DELAY_US + sum(each_us + GRAPH_GAP_US for each_us in (*kept_us, *added_us))

    @property
    def is_host_bound(self) -> bool:
        return self.host_us > self.gpu_us

    @cached_property
    def host_end_us(self) -> float:
        """When the host was done with the step, from its start, as recorded."""
        called_us = (call.start_us + call.duration_us for call in self.step.calls if call.parent is None)
        asked_us = self._asked[-1][1] if self._asked else 0.0
        waited_us = self._waited[-1][1] if self._waited else 0.0
        return max(max(called_us, default=self.step.start_us) - self.step.start_us, asked_us, waited_us)

    @cached_property
    def _asked(self) -> Sequence[tuple[int, float]]:
        """Launches (indices) in the order that the host asked for them, with when it did.

        One that does not tell (a node of a replayed graph) was asked for together with the one before it.
        """
        asked, before_us = [], 0.0
        for index, launch in enumerate(self.step.launches):
            if launch.launched_us is not None:
                before_us = launch.launched_us - self.step.start_us
            asked.append((index, max(0.0, before_us)))
        return sorted(asked, key=lambda each: each[1])

    @cached_property
    def _wait_times(self) -> Sequence[tuple[float, int]]:
        return sorted((wait.start_us - self.step.start_us, index) for index, wait in enumerate(self.step.waits))

    @cached_property
    def _waited(self) -> tuple[Interval, ...]:
        start_us = self.step.start_us
        return tuple(sorted((w.start_us - start_us, w.start_us - start_us + w.duration_us) for w in self.step.waits))

    def _host(self, start_us: float, stop_us: float, gone: Sequence[Interval]) -> float:
        """The host's time between two recorded moments, without what is gone."""
        spent_us = max(0.0, stop_us - start_us)
        for begin_us, end_us in gone[max(0, bisect_left(gone, (start_us, start_us)) - 1) :]:
            if begin_us >= stop_us:
                break
            spent_us -= max(0.0, min(end_us, stop_us) - max(begin_us, start_us))
        return max(0.0, spent_us) * self.host_share


def saving_error_pct(saves_us: float, others_us: Sequence[float], error_us: float) -> float:
    """Error bar of a saving in percent, from what it is on the fastest and the slowest host (``others_us``).

    ``error_us`` is what else it may be off by. A saving that is left on each of them stays below 100 %: it has a sign.
    """
    error_pct = 100 * (error_us + max(abs(other - saves_us) for other in others_us)) / saves_us
    return min(error_pct, 99.0) if min(others_us) > error_us else error_pct


def _merged(intervals: Sequence[Interval]) -> list[Interval]:
    """The same stretches in order, none overlapping another."""
    merged: list[Interval] = []
    for begin_us, end_us in sorted(intervals):
        if merged and begin_us <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end_us))
        else:
            merged.append((begin_us, end_us))
    return merged
