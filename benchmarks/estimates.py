"""What the theory says about a table's rows, with constants that are being fitted or shipped."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from headroom.predict.calibration import Calibration
from headroom.predict.constants import GemmConstants, StreamConstants, unit_of
from headroom.predict.gemm_problems import Problems, Tiles
from headroom.predict.gemm_time import Estimate, estimate
from headroom.predict.kernel_sorts import STRIDED_GRADIENT
from headroom.predict.library import Tiled, fastest
from headroom.predict.memory_bound import estimate_streams
from headroom.predict.tiles import choose, given_depth
from tables import Cases

#: Rows of a large table that one evaluation of a fit's objective uses.
SAMPLE = 2500


@dataclass(frozen=True)
class Answer:
    """Times in microseconds, whether launch and waiting are half of each or more, and CTAs: arrays of shape (P,)."""

    time_us: np.ndarray
    is_short: np.ndarray
    ctas: np.ndarray


def given(case: Cases, constants: GemmConstants) -> Estimate:
    """The case's products with its own tiles."""
    unit, tiles = unit_of(case.gpu, case.dtype), case.tiles
    depth = given_depth(case.work, tiles.m, tiles.n, case.gpu, case.dtype, unit)
    return estimate(case.work, replace(tiles, k=depth), case.gpu, case.dtype, unit, constants, case.l2_state)


def chosen(case: Cases, constants: GemmConstants, *, among: Tiles | None = None) -> tuple[Estimate, Tiles]:
    """The case's products with the tiles that the model chooses, ``among`` some if given."""
    unit = unit_of(case.gpu, case.dtype)
    return choose(
        case.work, case.gpu, case.dtype, unit, constants, case.l2_state, may_split=case.may_split, among=among
    )


def answered(case: Cases, calibration: Calibration) -> Answer:
    """What the package says to the case's products: of all im2col kernels that it knows, the fastest."""
    sorts = kernel_sorts(case, calibration)
    times, short, ctas = np.zeros(len(case)), np.zeros(len(case), dtype=bool), np.zeros(len(case))
    for sort in np.unique(sorts):
        index = np.flatnonzero(sorts == sort)
        ones = np.ones(len(index))
        tiled = Tiled(_summed_by(str(sort), case).rows(index), ones, ones < 0.0, str(sort))
        found = fastest(tiled, case.gpu, case.dtype, calibration, case.l2_state).estimate
        times[index], short[index], ctas[index] = found.time_us, found.is_short, found.ctas
    return Answer(times, short, ctas)


def _summed_by(sort: str, case: Cases) -> Problems:
    """The products of kernels of ``sort``: usual ones of input gradients walk over all taps of the filter."""
    if sort != "dgrad":
        return case.work
    return replace(case.work, k=case.conv["k"] * case.conv["r"] * case.conv["s"])


def kernel_sorts(case: Cases, calibration: Calibration) -> np.ndarray:
    """What the package calls each row's kernels."""
    name = "matmul" if case.kind == "matmul" else case.direction
    sorts = np.full(len(case), name, dtype="<U20")
    if name == "dgrad" and calibration.has_own(case.gpu, case.dtype, STRIDED_GRADIENT):
        sorts[case.conv["stride"] > 1] = STRIDED_GRADIENT
    return sorts


def streamed(case: Cases, constants: StreamConstants) -> np.ndarray:
    """Times of a streaming case, each row with its kind's factor."""
    plain = case.gpu.peak_tflops(case.dtype, tensor=False)
    return estimate_streams(case.work, case.kinds, case.gpu, plain, constants, case.l2_state).time_us


def typical(constants: GemmConstants) -> GemmConstants:
    """Families without a table get the median efficiency of those with one."""
    values = [v for k, v in constants.efficiency.items() if k != "typical"]
    return replace(constants, efficiency={**constants.efficiency, "typical": float(np.median(values))})


def sample(case: Cases, rows: int = SAMPLE) -> Cases:
    """Every n-th row, so that an evaluation stays short."""
    step = max(1, len(case) // rows)
    return case.where(np.arange(len(case)) % step == 0)
