"""What measured tables taught the theory: constants and error bars, read from one data file.

``calibration.json`` is written by ``benchmarks/calibrate.py`` and never edited by hand. It holds the
constants that every GPU shares, the share of its peak rate that each architecture's main loop reaches, and
how far off the predictions were on rows that no constant was fitted on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from statistics import median

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType

#: How much wider than its nearest relative the bar of a layer becomes that no table covers.
UNLIKE_FACTOR = 2.0

#: The measured kind that is most like a kind without a table, or without one on some unit.
STAND_INS = {
    "convolution": "matmul",
    "attention": "matmul",
    "recurrent": "matmul",
    "reduction": "elementwise",
    "movement": "elementwise",
    "embedding": "elementwise",
}

#: The year in which each architecture's first GPU appeared.
_INTRODUCED = {
    "kepler": 2012, "maxwell": 2014, "pascal": 2016, "volta": 2017, "turing": 2018, "ampere": 2020, "ada": 2022,
    "hopper": 2022, "blackwell": 2024,
}  # fmt: skip

#: The bar of a layer with no calibrated relative at all, in percent.
BLIND_ERROR_PCT = 100.0


@dataclass(frozen=True, slots=True)
class GemmConstants:
    """Constants of the tile model for one kind of multiplier (``plain`` or ``tensor``).

    ``efficiency`` maps an architecture family to the share of peak that the main loop of a full SM reaches
    with 128x128 tiles; ``typical`` is the entry for a family without a table. The other fields are shared by
    all: ``launch_factor`` is the shortest kernel in units of the sheet's; ``half_warps`` warps reach half the
    SM's rate;
    ``edge_cost`` is the extra main-loop time per unit of ``1/tile_m + 1/tile_n`` (operand traffic from shared
    memory); ``round_latencies`` counts exposed DRAM latencies per round of CTAs (prologue and epilogue);
    ``step_ns`` is the shortest main-loop step; ``dram_share`` and ``l2_share`` are the shares of the
    sheet's bandwidths that a GEMM's loads reach; ``cache_share`` is the share of the last-level cache that a
    cyclic sweep can use; ``wide_handicap`` is how much faster a 128-wide plain tile must look before
    the library takes it.
    """

    efficiency: Mapping[str, float]
    launch_factor: float
    half_warps: float
    edge_cost: float
    round_latencies: float
    step_ns: float
    dram_share: float
    l2_share: float
    cache_share: float
    wide_handicap: float

    def efficiency_on(self, gpu: GpuSpec) -> float:
        family = family_of(gpu)
        return self.efficiency[family if family in self.efficiency else "typical"]

    def launch_us_on(self, gpu: GpuSpec) -> float:
        return self.launch_factor * gpu.launch_us


@dataclass(frozen=True, slots=True)
class StreamConstants:
    """Constants of the streaming model: ``launch_factor``, an empty kernel in units of the sheet's; ``dram_share``
    and ``l2_share`` of the sheet's bandwidths in steady state; ``ramp_us``, what every dependent sweep adds
    while its loads are not yet in flight; ``cache_share``, the share of the last-level cache that stays
    warm; and per kind how many times the compulsory bytes its kernel is as slow as, on the families
    whose kernels were measured (elsewhere the factor is 1).
    """

    launch_factor: float
    ramp_us: float
    dram_share: float
    l2_share: float
    cache_share: float
    kind_factor: Mapping[str, float]
    families: Sequence[str]

    def factor_on(self, gpu: GpuSpec, kind: str) -> float:
        return self.kind_factor.get(kind, 1.0) if family_of(gpu) in self.families else 1.0

    def launch_us_on(self, gpu: GpuSpec) -> float:
        return self.launch_factor * gpu.launch_us


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """Held-out residuals of one group of rows: four of five lie within ``error_pct``."""

    kind: str
    unit: str
    family: str
    regime: str
    error_pct: float
    rows: int


@dataclass(frozen=True)
class Calibration:
    """The whole data file."""

    date: str
    plain: GemmConstants
    tensor: GemmConstants
    stream: StreamConstants
    errors: tuple[ErrorRow, ...]

    def error_pct(self, kind: str, unit: str, gpu: GpuSpec, regime: str) -> float:
        """The error bar of a layer: its own group's, else that of its nearest relative, widened.

        Relatives run on the same unit (where there are any) and are of the same kind or its stand-in
        (:data:`STAND_INS`); the nearest is the one whose architecture is closest in time.
        """
        family = family_of(gpu)
        own = [r for r in self.errors if (r.kind, r.unit, r.family) == (kind, unit, family)]
        if own:
            return _bar(own, regime)
        kinds = (kind, STAND_INS.get(kind, kind))
        relatives = [r for r in self.errors if r.kind in kinds and r.unit == unit]
        relatives = relatives or [r for r in self.errors if r.kind in kinds]
        if not relatives:
            return BLIND_ERROR_PCT
        distance = min(_years_apart(row.family, family) for row in relatives)
        nearest = [row for row in relatives if _years_apart(row.family, family) == distance]
        same_kind = [row for row in nearest if row.kind == kind]
        return UNLIKE_FACTOR * _bar(same_kind or nearest, regime)


def _bar(rows: Sequence[ErrorRow], regime: str) -> float:
    """The median bar of the asked regime, or of all if it has none."""
    same = [row.error_pct for row in rows if row.regime == regime]
    return median(same or [row.error_pct for row in rows])


def _years_apart(family: str, other: str) -> int:
    """Distance between two architectures in years of introduction; unknown ones are as far as any."""
    if family in _INTRODUCED and other in _INTRODUCED:
        return abs(_INTRODUCED[family] - _INTRODUCED[other])
    return max(_INTRODUCED.values()) - min(_INTRODUCED.values())


def family_of(gpu: GpuSpec) -> str:
    """The architecture's name as the calibration file spells it."""
    return gpu.architecture.lower()


def unit_of(gpu: GpuSpec, dtype: DataType) -> str:
    """The multiplier that runs matrix products of ``dtype``: ``tensor`` or ``plain``."""
    return "tensor" if gpu.tensor_tflops.get(dtype, 0.0) > gpu.plain_tflops.get(dtype, 0.0) else "plain"


@cache
def load_calibration() -> Calibration:
    """The calibration that ships with the package."""
    text = resources.files("headroom.predict").joinpath("calibration.json").read_text(encoding="utf-8")
    return parse_calibration(json.loads(text))


def parse_calibration(data: Mapping[str, object]) -> Calibration:
    """The data file's content as records; the benchmark script calls it on what it is about to write."""
    record: dict[str, dict[str, object]] = data["constants"]  # type: ignore[assignment]
    rows: list[dict[str, object]] = data["errors"]  # type: ignore[assignment]
    return Calibration(
        date=str(data["date"]),
        plain=GemmConstants(**record["plain"]),  # type: ignore[arg-type]
        tensor=GemmConstants(**record["tensor"]),  # type: ignore[arg-type]
        stream=StreamConstants(**record["stream"]),  # type: ignore[arg-type]
        errors=tuple(ErrorRow(**row) for row in rows),  # type: ignore[arg-type]
    )
