"""How long the whole model takes today: in the user's own profile, else in the fastest run that the database has."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from headroom import figures
from headroom.advise.execution import Execution
from headroom.advise.held_up import own_share
from headroom.advise.matching.latency import step_latency_us
from headroom.advise.measurements import REPEATABILITY_PCT, UNTOLD_SPREAD_PCT
from headroom.advise.networks import fastest_run, run_error_pct
from headroom.advise.timelines import Timelines
from headroom.store.rows import NetworkTiming

#: Fewest steps whose spread says anything: the first and the last one of a profile have no neighbour.
_FEWEST_STEPS = 4


#: How far off a replayed graph's own latency may be, worked out of its recorded nodes: all of 12 networks lie within.
_REPLAY_PCT = 5.0


@dataclass(frozen=True, slots=True)
class Latency:
    """A whole run's time in microseconds. ``how`` begins a sentence: ``With cuda-graph``, ``In your run``.

    Where the host sets the pace and nobody timed the run unrecorded, the time is estimated (not ``is_measured``): out
    of ``recorded_us``, which the recorder lengthened.
    """

    how: str
    time_us: float
    error_pct: float
    is_measured: bool = True
    recorded_us: float | None = None

    def __str__(self) -> str:
        """``In your run it was measured at 4.2 ms ± 3.0 %``."""
        took = figures.time_with_error(self.time_us, self.error_pct)
        if self.is_measured:
            return f"{self.how} it was measured at {took}"
        recorded = figures.time(self.recorded_us)
        return (
            f"{self.how} it takes an estimated {took} ({recorded} recorded; `headroom profile` measures it unrecorded)"
        )


def latency_of(execution: Execution | None, networks: Sequence[NetworkTiming]) -> Latency | None:
    """The profile's latency less what recording cost, else that of the first usable one of ``networks``, if any.

    A profile in which nothing ran on a GPU is of another machine: its latency stands beside no bound.
    """
    if execution is not None and execution.step.launches:
        return _of_run(execution)
    run = fastest_run(networks)
    if run is None or run.median_us is None:
        return None
    return Latency(f"With {run.mode}", run.median_us, run_error_pct(run))


def timelines_of(execution: Execution) -> Timelines:
    """The user's run without the recorder."""
    profile = execution.profile
    return Timelines.of(execution.step, profile.recorder, profile.latency_us, own_share(execution.step, profile.steps))


def _of_run(execution: Execution) -> Latency:
    spread_pct, recorded_us = _spread_pct(execution), execution.latency_us
    if told_us := execution.profile.latency_us:
        return Latency("In your run", told_us, spread_pct, recorded_us=recorded_us)
    timelines = timelines_of(execution)
    time_us = timelines.latency_us()
    if timelines.is_queued:
        return Latency("In your run", time_us, min(spread_pct, _REPLAY_PCT), recorded_us=recorded_us)
    host_pct = 100 * timelines.error_us / time_us if time_us else 0.0
    return Latency("In your run", time_us, max(spread_pct, host_pct), host_pct <= spread_pct, recorded_us)


def _spread_pct(execution: Execution) -> float:
    """Interquartile range of what the profile's steps took, in percent of the one that was taken."""
    profile = execution.profile
    if len(profile.steps) < _FEWEST_STEPS or not execution.latency_us:
        return UNTOLD_SPREAD_PCT
    low_us, _, high_us = statistics.quantiles((step_latency_us(profile, step) for step in profile.steps), n=4)
    return max(REPEATABILITY_PCT, 100 * (high_us - low_us) / execution.latency_us)
