"""What the transformed algorithms are put together from: transforming kernels, products, and their sum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.constants import GemmConstants, StreamConstants, TransformConstants
from headroom.predict.gemm_problems import Floats, Problems
from headroom.predict.gemm_time import Estimate
from headroom.predict.memory_bound import Streams, estimate_streams
from headroom.predict.tiles import batch_candidates, choose

#: Bytes of a value in fp32, and of a complex one.
REAL_BYTES, COMPLEX_BYTES = 4.0, 8.0


@dataclass(frozen=True, slots=True)
class Machinery:
    """A GPU with everything that its transformed kernels are timed by.

    The models are arithmetic on arrays of shape (P,); with shape (P, 1) the GPU may be another in every row.
    """

    gpu: GpuSpec
    products: GemmConstants
    streams: StreamConstants
    transforms: TransformConstants
    l2_state: str


def data_transform(read: Floats, written: Floats, machinery: Machinery, l2_state: str = "warm") -> Estimate:
    """A kernel that transforms images or results: limited by its bytes, which it moves in short runs."""
    constants = machinery.transforms
    return _stream(read, written, constants.data_factor, 0.0 * written, constants.start_us, machinery, l2_state)


def filter_transform(read: Floats, written: Floats, machinery: Machinery) -> Estimate:
    """The kernel that transforms the filters."""
    flops = machinery.transforms.filter_flops * (written / REAL_BYTES)
    return _stream(read, written, 1.0, flops, 0.0, machinery, machinery.l2_state)


def _stream(
    read: Floats, written: Floats, factor: float, flops: Floats, start_us: float, machinery: Machinery, l2_state: str
) -> Estimate:
    gpu, moved = machinery.gpu, read + written
    ones = np.ones_like(moved)
    work = Streams(moved, factor * ones, ones, written / REAL_BYTES, flops, 0.0 * ones, ones)
    rate = gpu.peak_tflops(DataType.FP32, tensor=False)
    found = estimate_streams(work, ["transform"], gpu, rate, machinery.streams, l2_state)
    return Estimate(
        time_us=found.time_us + start_us, compute_us=found.compute_us, l2_us=found.l2_us, dram_us=found.dram_us,
        latency_us=(found.ramp_us + start_us) * ones, launch_us=found.launch_us, l1_bytes=found.l2_bytes,
        l2_bytes=found.l2_bytes, dram_bytes=found.dram_bytes * ones, ctas=found.ctas, waves=found.ctas / gpu.sms,
        tail_utilization=found.ctas / (np.ceil(found.ctas / gpu.sms) * gpu.sms),
    )  # fmt: skip


def product(m: Floats, n: Floats, k: Floats, batch: Floats, width: float, machinery: Machinery) -> Estimate:
    """``batch`` products in one launch; with complex values a multiply-add is four, on operands of twice the bytes.

    The answer has the arguments' common shape, (P,) or (P, 1): the choice of a tile takes rows.
    """
    depth = k * (4.0 if width == COMPLEX_BYTES else 1.0)
    operands = (m * k * batch * width, k * n * batch * width, m * n * batch * width)
    ones = np.ones_like(operands[0])
    rows = Problems(*((column * ones).ravel() for column in (m, n, depth, batch, *operands, ones)))
    among = batch_candidates()
    found = choose(
        rows, machinery.gpu, DataType.FP32, "plain", machinery.products, "warm", may_split=False, among=among
    )[0]
    return Estimate(*(getattr(found, name).reshape(ones.shape) for name in Estimate.__slots__))


def in_turn(*kernels: tuple[Estimate, Floats | float]) -> Estimate:
    """Kernels one after another, each with how often it is launched; the grid is that of the last one given."""
    sums = {
        name: sum(getattr(estimate, name) * times for estimate, times in kernels)
        for name in Estimate.__slots__
        if name not in ("ctas", "waves", "tail_utilization")
    }
    main = kernels[-1][0]
    return Estimate(**sums, ctas=main.ctas, waves=main.waves, tail_utilization=main.tail_utilization)
