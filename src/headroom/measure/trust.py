"""Whether the stopwatch can be trusted: what its own test saw, and what has to hold."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from headroom.measure.bench import Check
from headroom.measure.jobs import run_job

#: How far a reading may be from the known duration: the larger of a share and a time. The time covers the gap
#: between two kernels and a coarse tick of the GPU's timer.
TOLERANCE_SHARE = 0.025
TOLERANCE_US = 8.0

#: How far two clocks that show the same may differ.
CLOCK_SHARE = 0.025

#: A read of a third of L2 takes at least this much longer where L2 was emptied: DRAM is several times slower.
LEAST_COLD_RATIO = 1.2


@dataclass(frozen=True, slots=True)
class Duration:
    """One reading of a kernel whose duration is known.

    ``known_us`` is what the kernel said itself, by the timer of the GPU; ``read_us`` what the stopwatch read.
    """

    l2: str
    known_us: float
    read_us: float

    @property
    def error_us(self) -> float:
        return self.read_us - self.known_us

    @property
    def allowed_us(self) -> float:
        return max(TOLERANCE_SHARE * self.known_us, TOLERANCE_US)

    @property
    def held(self) -> bool:
        return abs(self.error_us) <= self.allowed_us  # NaN never holds


@dataclass(frozen=True, slots=True)
class Claim:
    """Something else that the stopwatch has to do, whether it did, and what was seen."""

    name: str
    held: bool
    seen: str


@dataclass(frozen=True)
class SelfTest:
    """Everything that the test of the stopwatch saw. ``system`` says on what."""

    system: str
    durations: tuple[Duration, ...]
    claims: tuple[Claim, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """What did not hold, in words; empty where the stopwatch is right."""
        readings = tuple(
            f"{d.known_us:.0f} us read as {d.read_us:.1f} us ({d.l2} L2)" for d in self.durations if not d.held
        )
        missing = () if self.durations else ("no kernel was timed",)
        return (*missing, *readings, *(f"{claim.name}: {claim.seen}" for claim in self.claims if not claim.held))

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "passed": not self.failures}

    @classmethod
    def from_json(cls, data: dict[str, Any], *more: Claim) -> SelfTest:
        """What :meth:`to_json` wrote, with ``more`` claims behind its own."""
        return cls(
            data["system"],
            tuple(Duration(**duration) for duration in data["durations"]),
            (*(Claim(**claim) for claim in data["claims"]), *more),
        )


def clock_claim(samples_mhz: Sequence[float], samples: int, told_mhz: float) -> Claim:
    """A clock beside every sample, and its median is the one that kernels saw: clocks counted over time passed."""
    name = "a clock is sampled beside every reading"
    if len(samples_mhz) < samples or not samples_mhz or min(samples_mhz) <= 0:
        return Claim(name, False, f"{len(samples_mhz)} clocks for {samples} samples")
    sampled = statistics.median(samples_mhz)
    held = abs(sampled - told_mhz) <= CLOCK_SHARE * told_mhz
    return Claim(name, held, f"{sampled:.0f} MHz sampled, {told_mhz:.0f} MHz counted by the kernel")


def cold_claim(footprint_bytes: int, warm_us: float, cold_us: float) -> Claim:
    """Emptying L2 shows in the time of a kernel that does nothing but read."""
    seen = f"reading {footprint_bytes / 2**20:.1f} MiB takes {warm_us:.1f} us warm and {cold_us:.1f} us cold"
    return Claim("a cold L2 is cold", cold_us >= LEAST_COLD_RATIO * warm_us > 0, seen)


def sum_claim(right: bool) -> Claim:
    seen = "the sum of what was read is right" if right else "the sum of what was read is wrong"
    return Claim("our kernels compute what they should", right, seen)


def output_claim(right: Check, wrong: Check) -> Claim:
    """A right output passes the check, one that is off in a single value does not."""
    seen = f"error {right.relative_error:.1e} right, {wrong.relative_error:.1e} wrong, {wrong.tolerance:.1e} allowed"
    return Claim("a wrong output is caught", right.passed and not wrong.passed, seen)


def poison_claim(noticed: bool, reason: str) -> Claim:
    """A kernel that wrote to an illegal address was reported as the loss of its context."""
    return Claim("a lost context is noticed", noticed, reason)


def check_stopwatch(gpu: int, doing: Callable[[str], None]) -> SelfTest:
    """Test the stopwatch of GPU ``gpu`` in workers of its own; ``doing`` is told each step.

    Raises:
        GpuError: there is no such GPU, a library is missing, or a worker died.
    """
    seen = run_job("selftest", {}, gpu=gpu, on_progress=lambda progress: doing(progress["step"]))
    doing("losing a context on purpose")
    # Nothing can be measured in that worker afterwards, so that it is not the one above.
    lost = run_job("poison", {}, gpu=gpu)
    return SelfTest.from_json(seen, poison_claim(lost["noticed"], lost["reason"]))
