"""How long the whole model takes today: in the user's own profile, else in the fastest run that the database has."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from headroom.advise.execution import Execution
from headroom.advise.matching.latency import step_latency_us
from headroom.advise.measurements import REPEATABILITY_PCT, UNTOLD_SPREAD_PCT
from headroom.advise.networks import fastest_run, run_error_pct
from headroom.advise.timelines import Timelines
from headroom.store.rows import NetworkTiming

#: Fewest steps whose spread says anything: the first and the last one of a profile have no neighbour.
_FEWEST_STEPS = 4


@dataclass(frozen=True, slots=True)
class Latency:
    """A whole run's time in microseconds. ``how`` begins a sentence: ``With cuda-graph``, ``In your run``."""

    how: str
    time_us: float
    error_pct: float


def latency_of(execution: Execution | None, networks: Sequence[NetworkTiming]) -> Latency | None:
    """The profile's latency less what recording cost, else that of the first usable one of ``networks``, if any.

    A profile in which nothing ran on a GPU is of another machine: its latency stands beside no bound.
    """
    if execution is not None and execution.step.launches:
        known_us = execution.profile.latency_us or execution.latency_us
        timelines = Timelines.of(execution.step, execution.profile.recorder, known_us)
        error_pct = max(_spread_pct(execution), 100 * timelines.host_error if timelines.is_host_bound else 0.0)
        return Latency("In your run, less what recording cost,", timelines.latency_us(), error_pct)
    run = fastest_run(networks)
    if run is None or run.median_us is None:
        return None
    return Latency(f"With {run.mode}", run.median_us, run_error_pct(run))


def _spread_pct(execution: Execution) -> float:
    """Interquartile range of what the profile's steps took, in percent of the one that was taken."""
    profile = execution.profile
    if len(profile.steps) < _FEWEST_STEPS or not execution.latency_us:
        return UNTOLD_SPREAD_PCT
    low_us, _, high_us = statistics.quantiles((step_latency_us(profile, step) for step in profile.steps), n=4)
    return max(REPEATABILITY_PCT, 100 * (high_us - low_us) / execution.latency_us)
