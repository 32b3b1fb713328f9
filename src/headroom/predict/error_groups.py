"""What tells how far off the theory is: which error bar a product has, and how wide a bar has to be.

Products whose sum is deep, narrow ones and batches of them run on kernels that the theory knows less well than those
of large products, and what a GPU does in a few microseconds is known less well than what it does in milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.constants import unit_of
from headroom.predict.gemm_problems import Floats, Problems
from headroom.predict.gemm_time import Estimate
from headroom.predict.kernel_sorts import bar_kind

if TYPE_CHECKING:
    from headroom.predict.calibration import Calibration

#: Of ten rows like those that an error bar was made from, it holds nine.
HELD_SHARE = 0.9

#: Of a product's time launch and waiting are half and more; it ends before :data:`BRIEF_US`; it lasts longer.
REGIMES = ("short", "brief", "long")
BRIEF_US = 300.0

#: Matrix products by what the library does about them: nothing in particular, few rows or columns, sums longer than
#: :data:`DEEP` (on some GPUs they fall out of a cache), several products in one launch.
PRODUCT_KINDS = ("matmul", "narrow", "deep", "batched")
NARROW, DEEP = 64, 6000

#: Of the algorithms that do less arithmetic, the one that does it all in one kernel.
FUSED = "WINOGRAD"


def holding(distances: Sequence[float] | Floats, weights: Floats | None = None) -> float:
    """The distance that holds :data:`HELD_SHARE` of further rows like these: one of them more than of these alone.

    Args:
        distances: at least one.
        weights: how much each row counts; by default all alike.
    """
    order = np.argsort(distances, kind="stable")
    ordered = np.asarray(distances, dtype=np.float64)[order]
    counts = np.ones(len(ordered)) if weights is None else weights[order]
    needed = HELD_SHARE * (counts.sum() + counts.mean())
    place = int(np.searchsorted(np.cumsum(counts), needed * (1.0 - 1e-12)))
    return float(ordered[min(place, len(ordered) - 1)])


def regimes_of(time_us: Floats, is_short: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Indices into :data:`REGIMES`."""
    return np.where(is_short, 0, np.where(time_us < BRIEF_US, 1, 2))


def product_kinds(problems: Problems) -> NDArray[np.intp]:
    """Indices into :data:`PRODUCT_KINDS`."""
    narrow = np.minimum(problems.m, problems.n) <= NARROW
    return np.where(problems.batch > 1, 3, np.where(problems.k > DEEP, 2, np.where(narrow, 1, 0)))


def transformed_kind(algorithm: str) -> str:
    """What the error bars call the kernels of an algorithm that does less arithmetic."""
    return "fused transform" if algorithm == FUSED else "transformed"


def product_bars(
    problems: Problems,
    best: Estimate,
    transformed: NDArray[np.str_],
    sort: str,
    gpu: GpuSpec,
    dtype: DataType,
    l2_state: str,
    calibration: Calibration,
) -> Floats:
    """Error bars in percent, shape (P,), of products that all run on kernels of ``sort``.

    ``transformed`` names the algorithm of Winograd's and the FFT's kernels, and is empty for the others.
    """
    kinds: tuple[str, ...] = PRODUCT_KINDS if sort == "matmul" else (bar_kind(sort),)
    rows = product_kinds(problems) if sort == "matmul" else np.zeros(len(best.time_us), dtype=np.intp)
    rows = np.where(transformed != "", len(kinds) + (transformed == FUSED), rows)
    unit = unit_of(gpu, dtype)
    known = [
        [calibration.error_pct(kind, unit, gpu, regime, dtype, l2_state) for regime in REGIMES]
        for kind in (*kinds, *(transformed_kind(name) for name in ("", FUSED)))
    ]
    return np.array(known)[rows, regimes_of(best.time_us, best.is_short)]
