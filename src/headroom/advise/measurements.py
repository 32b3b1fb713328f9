"""Where measured times come from: the rows of one system, found by what was measured."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.predict.prediction import Prediction, Source
from headroom.store.rows import Counters, Implementation, NetworkTiming, Status, System, Timing

#: Two runs of a measurement differ by at most this much in 19 of 20 layers of at least ``SHORT_US`` (promised, and
#: checked by the stopwatch's own tests), so no measured figure claims to be nearer.
REPEATABILITY_PCT = 3.0

#: Below this a layer is a few launches long and its repeatability is not promised: its error bar is doubled.
SHORT_US = 20.0

#: Half-width that holds nine of ten samples of a bell curve, in its interquartile ranges: 1.645 of 1.349 deviations.
_RANGES = 1.22

#: Spread assumed of a row that does not tell its own: where a measurement begins to be called noisy.
UNTOLD_SPREAD_PCT = 10.0


@dataclass(frozen=True, slots=True)
class OtherSystem:
    """A system of the same GPU that could have answered: of how many layers and chains of the model it has a time, in
    the data type and state of the L2 cache that were asked for."""

    system: System
    chains: int


class Measurements(Protocol):
    """What was measured on one system."""

    @property
    def system(self) -> System: ...

    @property
    def others(self) -> Sequence[OtherSystem]:
        """Other systems of the same GPU that know something of the model, those that know most first."""

    def best(self, chains: Iterable[Chain], dtype: DataType, l2: str) -> Mapping[str, Timing]:
        """The fastest ``ok`` row of each chain that has one, by the chain's digest."""

    def tried(self, chains: Iterable[Chain], dtype: DataType, l2: str) -> Mapping[str, Sequence[Timing]]:
        """Every row of each chain that has any, by the chain's digest, the fastest first."""

    def counters(self, chains: Iterable[Chain], dtype: DataType) -> Mapping[str, Sequence[Counters]]:
        """What the hardware counted for implementations of each chain that has any, by the chain's digest."""

    def networks(self, graph: str) -> Sequence[NetworkTiming]:
        """Runs of the whole network whose :func:`~headroom.graph.chain.graph_digest` is ``graph``."""


def usable(row: Timing | NetworkTiming) -> bool:
    """Whether a row holds a time to build on; whatever else a database holds under ``ok`` is passed over."""
    return row.status is Status.OK and _is_time(row.median_us) and _is_spread(row.iqr_us) and row.samples >= 0


def error_pct(median_us: float, iqr_us: float | None) -> float:
    """Error bar of a measured time: the half-width inside which nine of ten repetitions fall, in percent.

    Nine of ten samples of a bell curve lie within 1.22 interquartile ranges of their median, so the bar is that much,
    and never less than what measuring again in another process may change.
    """
    repeatable = REPEATABILITY_PCT if median_us >= SHORT_US else 2 * REPEATABILITY_PCT
    spread = UNTOLD_SPREAD_PCT if iqr_us is None else 100 * iqr_us / median_us
    return max(repeatable, _RANGES * spread)


def measured(theory: Prediction, timing: Timing) -> Prediction:
    """The figures of a layer whose time is ``timing``'s; traffic, grid and bottleneck stay those of the theory.

    A floor that the measurement undercuts was none (Winograd and FFT kernels multiply less, a derived L2 bandwidth
    may be too low): it is lowered to the measured time, and said.
    """
    time_us = timing.median_us or 0.0
    notes = []
    if time_us < theory.floor_us:
        notes.append("measured below the roofline floor, which is lowered to the measured time")
    if timing.is_noisy:
        notes.append(f"noisy: the interquartile range is {100 * (timing.noise or 0.0):.0f} % of the median")
    return replace(
        theory,
        time_us=time_us,
        error_pct=error_pct(time_us, timing.iqr_us),
        source=Source.MEASURED,
        floor_us=min(theory.floor_us, time_us),
        algorithm=implementation_text(timing.implementation),
        # What the theory says of its own time (which kernels it assumes) does not hold for a measured one.
        notes=tuple(notes),
    )


def unmeasured(theory: Prediction) -> Prediction:
    """A layer without a row where only measured times count: its time is unknown."""
    reason = "not measured" if theory.time_us is not None else "not measured, and no prediction either"
    return replace(theory, time_us=None, error_pct=None, source=Source.UNKNOWN, algorithm="", notes=(reason,))


def implementation_text(implementation: Implementation) -> str:
    """``cudnn eng22_k2=5_k13=1, nhwc``."""
    text = f"{implementation.backend} {implementation.name}"
    return f"{text}, {implementation.layout}" if implementation.layout else text


def shown(implementation: str) -> str:
    """The text of an implementation for people: cuBLASLt's opaque settings, over a hundred digits, are cut short."""
    return _OPAQUE.sub(r"\1…", implementation)


#: Settings of cuBLASLt's newest kernels have no names: an algorithm is told exactly by all its bytes.
_OPAQUE = re.compile(r"(_x[0-9a-f]{4})[0-9a-f]{16,}")


def _is_time(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value > 0


def _is_spread(value: float | None) -> bool:
    return value is None or (math.isfinite(value) and value >= 0)
