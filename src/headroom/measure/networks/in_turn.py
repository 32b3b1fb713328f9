"""Timing several runs in turn, so that whatever drifts (clocks, heat, other processes) touches all of them alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headroom.measure.bench import Reading
from headroom.measure.networks.device import Device, Run
from headroom.measure.networks.gauge import Gauge
from headroom.measure.networks.sampling import BUDGET_US, MAX_SAMPLES, MIN_SAMPLES, SAMPLE_US, warmed_up


def read_in_turn(
    runs: Sequence[Run], device: Device, gauge: Gauge, *, sample_us: float = SAMPLE_US, budget_us: float = BUDGET_US
) -> list[Reading]:
    """A reading per run: microseconds each, a sample of every run before the next sample of any.

    Args:
        sample_us: a sample of one run is at least this long.
        budget_us: all samples of one run together take about this long.
    """
    once_us = [warmed_up(run, device) for run in runs]
    repeats = [max(1, math.ceil(sample_us / once)) for once in once_us]
    longest_us = max(count * once for count, once in zip(repeats, once_us, strict=True))
    samples = max(MIN_SAMPLES, min(MAX_SAMPLES, int(budget_us / longest_us)))
    times: list[list[float]] = [[] for _ in runs]
    clocks: list[list[float]] = [[] for _ in runs]
    before = gauge.clock_events()
    for _ in range(samples):
        for number, run in enumerate(runs):
            times[number].append(device.wall_us(run, repeats[number]))
            if (clock := gauge.sm_clock_mhz()) is not None:
                clocks[number].append(clock)
    after, memory_clock = gauge.clock_events(), gauge.memory_clock_mhz()
    return [
        Reading(tuple(time), tuple(clock), memory_clock, before, after)
        for time, clock in zip(times, clocks, strict=True)
    ]
