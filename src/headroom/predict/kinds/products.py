"""What the kernels that a library takes for products cost in the end: with what runs around them, floor and error bar.

Products come from layers (:mod:`.layer_products`) or from a table's rows (:mod:`headroom.predict.table_products`), and
may be repeated for many designs of a GPU (:mod:`headroom.predict.explore.products`). Which kernels run them is for
:mod:`headroom.predict.library` to say; from there on all three are answered here, so that a layer, its row and its
GPU's design get one figure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.predict.constants import unit_of
from headroom.predict.counted_launches import with_level_bytes
from headroom.predict.error_groups import product_bars
from headroom.predict.gemm_problems import Floats
from headroom.predict.gemm_time import Estimate
from headroom.predict.kinds.context import Context
from headroom.predict.library import Choice, Tiled
from headroom.predict.memory_bound import transposition_us
from headroom.predict.prediction import Bottleneck
from headroom.predict.roofline import floors_of

#: What can limit a product, in the order in which of equal terms the first counts.
LIMITS = (Bottleneck.COMPUTE, Bottleneck.L2, Bottleneck.DRAM, Bottleneck.LATENCY, Bottleneck.LAUNCH)


@dataclass(frozen=True, slots=True)
class Judged:
    """Arrays of shape (P,): the time, never below the floor; the floor, lowered where a transformed kernel undercuts
    the direct arithmetic that it is for; the error bar, without the sheet's doubt; and the place in :data:`LIMITS`.
    """

    time_us: Floats
    floor_us: Floats
    error_pct: Floats
    limit: NDArray[np.intp]


def surrounded(tiled: Tiled, choice: Choice, is_turned: NDArray[np.bool_] | bool, context: Context) -> Choice:
    """``choice`` with the bytes at every level that its kernels are known to move, and with the kernels that turn
    tensors to channels innermost and back where it ``is_turned``.
    """
    gpu, dtype = context.gpu, context.dtype
    best, stored = with_level_bytes(choice, tiled, gpu, dtype), tiled.problems.c_bytes
    on_tensor_cores = unit_of(gpu, dtype) == "tensor"
    if on_tensor_cores and tiled.sort != "matmul" and np.any(is_turned):
        extra = transposition_us(tiled.problems.a_bytes, stored, gpu, context.stream_constants, context.l2_state)
        best = replace(best, time_us=best.time_us + np.where(is_turned, extra, 0.0))
    return choice if best is choice.estimate else replace(choice, estimate=best)


def judged(tiled: Tiled, choice: Choice, flops: Floats, moved_bytes: Floats, gpu: GpuSpec, context: Context) -> Judged:
    """Time, floor, error bar and limit; ``gpu`` may be a design of the context's in every row, of shape (P,)."""
    best, is_direct = choice.estimate, choice.transformed == ""
    floor = floors_of(flops, moved_bytes, gpu.peak_tflops(context.dtype), gpu, context.l2_state)
    bars = product_bars(
        tiled.problems, best, choice.transformed, tiled.sort, context.gpu, context.dtype, context.l2_state,
        context.calibration,
    )  # fmt: skip
    return Judged(
        time_us=np.where(is_direct, np.maximum(best.time_us, floor), best.time_us),
        floor_us=np.where(is_direct, floor, np.minimum(floor, best.time_us)),
        error_pct=bars,
        limit=np.argmax(_terms(best), axis=0),
    )


def _terms(best: Estimate) -> Floats:
    """The terms of a time in the order of :data:`LIMITS`, of shape (5, P)."""
    return np.stack([best.compute_us, best.l2_us, best.dram_us, best.latency_us, best.launch_us])
