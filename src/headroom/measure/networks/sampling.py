"""Timing a network: samples of many inferences in a row, with the clocks beside them."""

from __future__ import annotations

import math

from headroom.measure.bench import Reading
from headroom.measure.networks.device import Device, Run
from headroom.measure.networks.gauge import Gauge

#: Ten are what a median needs (and a row has to have); twenty fit in half a second for most networks.
MIN_SAMPLES, MAX_SAMPLES = 10, 20

#: A sample is at least this long, so that waiting for the GPU once at its end (about 20 us) is a thousandth of it.
SAMPLE_US = 20_000.0

#: Samples together take about this long, however slow the network: then there are :data:`MIN_SAMPLES` of them.
BUDGET_US = 2_000_000.0

#: Clocks rise, caches fill and torch.compile records its CUDA graphs before the first sample is taken.
WARM_UP_US = 200_000.0
_WARM_UP_RUNS = 4


def read(run: Run, device: Device, gauge: Gauge) -> Reading:
    """Time ``run``, an inference, as it follows itself: microseconds per inference.

    Inferences are enqueued one after another and the GPU is waited for at the end of a sample, so host time counts
    where the host is the slower of the two, and never twice.
    """
    once_us = warmed_up(run, device)
    repeats = max(1, math.ceil(SAMPLE_US / once_us))
    samples = max(MIN_SAMPLES, min(MAX_SAMPLES, int(BUDGET_US / (repeats * once_us))))
    mask_before = gauge.clock_events()
    times, clocks = [], []
    for _ in range(samples):
        times.append(device.wall_us(run, repeats))
        # Asked for right behind the sample: the clock has not had the time to fall.
        clocks.append(gauge.sm_clock_mhz())
    return Reading(
        samples_us=tuple(times),
        sm_clocks_mhz=tuple(clock for clock in clocks if clock is not None),
        memory_clock_mhz=gauge.memory_clock_mhz(),
        mask_before=mask_before,
        mask_after=gauge.clock_events(),
    )


def warmed_up(run: Run, device: Device) -> float:
    """Run until nothing is done for the first time any more; return about how long one run takes."""
    device.wall_us(run, _WARM_UP_RUNS)
    once_us = max(device.wall_us(run, 1), 1.0)
    repeats = math.ceil(WARM_UP_US / once_us)
    return device.wall_us(run, repeats) if repeats > 1 else once_us


def energy_mj(run: Run, device: Device, gauge: Gauge, seconds: float, once_us: float) -> float | None:
    """Millijoules of the whole board per inference, over about ``seconds`` of them; ``None`` if nothing tells."""
    if seconds <= 0 or gauge.energy_mj() is None:
        return None
    runs = max(1, math.ceil(seconds * 1e6 / once_us))
    before = gauge.energy_mj()
    device.wall_us(run, runs)
    after = gauge.energy_mj()
    if before is None or after is None or after <= before:
        return None
    return (after - before) / runs
