"""How long the whole model takes today: in the user's own profile, else in the fastest run that the database has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headroom.advise.execution import Execution
from headroom.advise.measurements import REPEATABILITY_PCT, UNTOLD_SPREAD_PCT
from headroom.advise.networks import fastest_run, run_error_pct
from headroom.store.rows import NetworkTiming


@dataclass(frozen=True, slots=True)
class Latency:
    """A whole run's time in microseconds. ``how`` begins a sentence: ``With cuda-graph``, ``In the profile``."""

    how: str
    time_us: float
    error_pct: float


def latency_of(execution: Execution | None, networks: Sequence[NetworkTiming]) -> Latency | None:
    """The profile's latency, else that of the first usable one of ``networks``; ``None`` without either."""
    if execution is not None:
        return Latency("In the profile", execution.latency_us, _spread_pct(execution))
    run = fastest_run(networks)
    if run is None or run.median_us is None:
        return None
    return Latency(f"With {run.mode}", run.median_us, run_error_pct(run))


def _spread_pct(execution: Execution) -> float:
    """Half the range of the profile's steps, in percent of the one that was taken."""
    durations_us = [step.duration_us for step in execution.profile.steps]
    if len(durations_us) < 2 or not execution.step.duration_us:
        return UNTOLD_SPREAD_PCT
    return max(REPEATABILITY_PCT, 50 * (max(durations_us) - min(durations_us)) / execution.step.duration_us)
