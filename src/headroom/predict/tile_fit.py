"""Whether an SM could hold a CTA of a tile that somebody set.

What no kernel can do without: its accumulators are in registers (or in as large a memory of their own), and one step of
both operands in shared memory. What a usual kernel needs besides only limits how many CTAs run at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.gemm_problems import Floats


def fits(m: Floats, n: Floats, k: Floats, gpu: GpuSpec, dtype: DataType) -> NDArray[np.bool_]:
    """Where tiles of m x n results and k values of the sum per step fit; shapes as they broadcast."""
    held: NDArray[np.bool_] = (m * n <= gpu.registers_per_sm) & (
        _step_bytes(m, n, k, dtype) <= gpu.shared_bytes_per_cta
    )
    return held


def misfit(m: float, n: float, k: float, gpu: GpuSpec, dtype: DataType) -> str:
    """Why a tile that does not fit does not, in a sentence for the user."""
    tile = f"a tile of {m:.0f}x{n:.0f}x{k:.0f}"
    if m * n > gpu.registers_per_sm:
        return (
            f"{tile} holds {m * n:.0f} results, and an SM of {gpu.name} has {gpu.registers_per_sm:.0f} registers: "
            "give a smaller one"
        )
    return (
        f"{tile} loads {_step_bytes(m, n, k, dtype):.0f} bytes per step, and a CTA on {gpu.name} has "
        f"{gpu.shared_bytes_per_cta:.0f} bytes of shared memory: give a smaller one"
    )


def _step_bytes(m: Floats | float, n: Floats | float, k: Floats | float, dtype: DataType) -> Floats | float:
    return (m + n) * k * float(dtype.bytes)
