"""What the theory says about a table's rows, with constants that are being fitted or shipped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headroom.predict.calibration import Calibration
from headroom.predict.constants import GemmConstants, StreamConstants, unit_of
from headroom.predict.gemm_time import Estimate, Tiles, estimate
from headroom.predict.library import Tiled, fastest
from headroom.predict.memory_bound import estimate_streams
from headroom.predict.tiles import choose, gathering_candidates
from tables import Cases

#: Rows of a large table that one evaluation of a fit's objective uses.
SAMPLE = 2500


def given(case: Cases, constants: GemmConstants) -> Estimate:
    """The case's products with its own tiles."""
    unit = unit_of(case.gpu, case.dtype)
    return estimate(case.work, case.tiles, case.gpu, case.dtype, unit, constants, case.l2_state)


def chosen(case: Cases, constants: GemmConstants, *, gathering: bool = False) -> tuple[Estimate, Tiles]:
    """The case's products with the tiles that the model chooses, those of ``gathering`` kernels if asked."""
    unit = unit_of(case.gpu, case.dtype)
    among = gathering_candidates() if gathering else None
    return choose(
        case.work, case.gpu, case.dtype, unit, constants, case.l2_state, may_split=case.may_split, among=among
    )


def answered(case: Cases, calibration: Calibration) -> tuple[Estimate, Tiles]:
    """What the package says to the case's products: of all kernels that it knows, the fastest."""
    ones = np.ones(len(case))
    sort = "matmul" if case.kind == "matmul" else case.direction
    found = fastest(Tiled(case.work, ones, ones < 0.0, sort), case.gpu, case.dtype, calibration, case.l2_state)
    return found.estimate, found.tiles


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
