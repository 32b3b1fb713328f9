"""What a reading is worth: samples whose clock fell are dropped, and noise and throttling get a name.

A row is ``throttled`` where the clock did not hold: more than a tenth of its samples ran away from the median clock,
or the driver named a reason to slow down and the clock was indeed below the GPU's own. It is ``unstable`` where the
samples that are left disagree. Both keep their figures, and no bound is made of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from headroom.measure.bench import Check, Facts, Program, Reading
from headroom.store.rows import Implementation, Status, Timing

#: Samples below this share of the median clock are dropped; a GPU below this share of its own clock is slow.
STEADY_CLOCK = 0.95

#: More samples than this away from the median clock make a row ``throttled``.
MOST_UNSTEADY = 0.10

#: A number needs this many samples.
LEAST_SAMPLES = 10

#: Interquartile range over median above which a row is ``unstable``.
MOST_NOISE = 0.25

#: Bits of NVML's clock-event mask that say why a clock is low although nothing is wrong: an idle GPU, and clocks that
#: somebody has set.
HARMLESS_EVENTS = 0x1 | 0x2

#: Bits that slow a GPU down. Every other bit is one that this release does not know.
SLOWDOWN_EVENTS = {
    0x4: "power limit",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
    0x100: "display clocks",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The samples that count, summed up. Times are in microseconds per launch."""

    status: Status
    reason: str
    median_us: float | None
    iqr_us: float | None
    samples: int
    sm_clock_mhz: float | None
    mask: int | None


def judge(reading: Reading, max_sm_clock_mhz: float | None = None) -> Verdict:
    """What ``reading`` is worth on a GPU that may run at ``max_sm_clock_mhz``."""
    clocks = reading.sm_clocks_mhz if len(reading.sm_clocks_mhz) == len(reading.samples_us) else ()
    clock = statistics.median(clocks) if clocks else None
    samples, unsteady = _at_steady_clock(reading.samples_us, clocks)
    mask = _mask(reading)
    median_us = statistics.median(samples) if samples else None
    iqr_us = _iqr(samples)
    status, reason = Status.OK, ""
    if unsteady > MOST_UNSTEADY:
        status, reason = Status.THROTTLED, f"{unsteady:.0%} of its samples ran away from the median clock"
    elif cause := _slowdown(mask or 0, clock, max_sm_clock_mhz):
        status, reason = Status.THROTTLED, cause
    elif median_us is None or iqr_us is None or len(samples) < LEAST_SAMPLES:
        status, reason = Status.UNSTABLE, f"{len(samples)} samples are left of it; {LEAST_SAMPLES} are needed"
    elif iqr_us > MOST_NOISE * median_us:
        spread = f"the middle half of its samples spreads over {iqr_us / median_us:.0%} of the median"
        status, reason = Status.UNSTABLE, f"{spread}; at most {MOST_NOISE:.0%} is a result"
    return Verdict(status, reason, median_us, iqr_us, len(samples), clock, mask)


def spread_of(reading: Reading) -> float:
    """Interquartile range over median of all samples."""
    median_us = statistics.median(reading.samples_us)
    return (_iqr(reading.samples_us) or 0.0) / median_us if median_us > 0 else 0.0


def timing_of(
    reading: Reading, program: Program, check: Check, facts: Facts, implementation: Implementation, l2: str, now: str
) -> Timing:
    """The row of an implementation that was checked and timed."""
    verdict = judge(reading, facts.max_sm_clock_mhz)
    return Timing(
        implementation,
        l2,
        verdict.status,
        verdict.reason,
        median_us=verdict.median_us,
        iqr_us=verdict.iqr_us,
        samples=verdict.samples,
        sm_clock_mhz=verdict.sm_clock_mhz,
        memory_clock_mhz=reading.memory_clock_mhz,
        throttle_mask=verdict.mask,
        workspace_bytes=program.workspace_bytes,
        kernels=reading.kernels,
        relative_error=check.relative_error,
        tolerance=check.tolerance,
        gpu_uuid=facts.gpu_uuid,
        measured_at=now,
    )


def together(first: Reading, second: Reading) -> Reading:
    """Two readings of one implementation as one."""
    return replace(
        first,
        samples_us=first.samples_us + second.samples_us,
        sm_clocks_mhz=first.sm_clocks_mhz + second.sm_clocks_mhz,
        mask_before=_or(first.mask_before, second.mask_before),
        mask_after=_or(first.mask_after, second.mask_after),
        kernels=first.kernels or second.kernels,
    )


def _at_steady_clock(samples: Sequence[float], clocks: Sequence[float]) -> tuple[list[float], float]:
    """Samples that were not slowed down, and the share of all that ran at another clock than the median's.

    A clock that jumps up within a run is as unsteady as one that falls: where it spends most of the time decides
    which of the two the median shows.
    """
    if not clocks:
        return list(samples), 0.0
    floor = STEADY_CLOCK * statistics.median(clocks)
    ceiling = statistics.median(clocks) / STEADY_CLOCK
    kept = [sample for sample, clock in zip(samples, clocks, strict=True) if clock >= floor]
    return kept, sum(not floor <= clock <= ceiling for clock in clocks) / len(clocks)


def _slowdown(mask: int, clock: float | None, max_clock: float | None) -> str:
    """Why the clock-event mask spoils a row; empty where it does not."""
    unknown = mask & ~HARMLESS_EVENTS & ~sum(SLOWDOWN_EVENTS)
    if unknown:
        return f"the driver reported a clock event that is not known here (mask {mask:#x}, unknown {unknown:#x})"
    named = [name for bit, name in SLOWDOWN_EVENTS.items() if mask & bit]
    if not named or (clock and max_clock and clock >= STEADY_CLOCK * max_clock):
        # At its full clock a GPU is not slowed down, whatever it was told before or after.
        return ""
    at = f" at {clock:.0f} MHz" if clock else ""
    return f"the driver slowed the GPU down{at}: {', '.join(named)}"


def _mask(reading: Reading) -> int | None:
    return _or(reading.mask_before, reading.mask_after)


def _or(first: int | None, second: int | None) -> int | None:
    return second if first is None else first if second is None else first | second


def _iqr(samples: Sequence[float]) -> float | None:
    if len(samples) < 2:
        return None
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return high - low
