"""How long a sample has to be: launches per sample, and samples per reading.

Events resolve half a microsecond and a graph's start costs a few, so short launches are repeated inside one sample.
A quick reading (an implementation among seventy, most of which lose) takes about two milliseconds of GPU time; a
precise one (the few fastest) about eight. A launch that is long by itself is a sample by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Fewest samples of a reading: what makes a median and quartiles mean something.
LEAST_SAMPLES = 10

#: Longest launch of which more than the fewest samples are taken, in microseconds.
LONG_LAUNCH_US = 5_000.0

#: Launches in one graph: recording them takes the host 10 to 50 us each.
MOST_LAUNCHES = 400

#: No kernel is shorter; bounds the number of launches where an estimate is off.
SHORTEST_LAUNCH_US = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """``launches`` in each of ``samples`` samples."""

    launches: int
    samples: int


@dataclass(frozen=True, slots=True)
class Effort:
    """Length of a sample that is aimed at, and the samples taken of launches that are not long."""

    sample_us: float
    samples: int


QUICK = Effort(sample_us=150.0, samples=11)
PRECISE = Effort(sample_us=600.0, samples=12)


def pace_of(launch_us: float, effort: Effort) -> Pace:
    """Launches and samples for an implementation that takes about ``launch_us``."""
    launch_us = max(launch_us, SHORTEST_LAUNCH_US)
    launches = max(1, min(MOST_LAUNCHES, round(effort.sample_us / launch_us)))
    return Pace(launches, LEAST_SAMPLES if launch_us > LONG_LAUNCH_US else max(LEAST_SAMPLES, effort.samples))
