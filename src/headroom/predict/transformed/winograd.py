"""Winograd's minimal filtering: an output tile of m x m costs (m + r - 1)^2 multiplications instead of (m r)^2.

The library has it in two forms. *Fused*, F(2x2, 3x3): one kernel transforms the input, multiplies and transforms back,
in registers and shared memory; a second, small one transforms the filters. *Nonfused*, F(4x4, 3x3) and F(4x4, 5x5):
transforms through DRAM around one batched product per element of the transformed tile. (Lavin and Gray 2016; the
kernels' grids in recorded runs agree with the sizes here.)
"""

from __future__ import annotations

import numpy as np

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.cache_misses import missing_share
from headroom.predict.constants import TransformConstants, family_of
from headroom.predict.delta import ConvBatch
from headroom.predict.gemm_problems import Floats
from headroom.predict.gemm_time import Estimate
from headroom.predict.transformed.parts import REAL_BYTES, Machinery, data_transform, filter_transform, in_turn, product

#: A fused CTA's tiles of 2x2 outputs, as (images, rows, columns), and its filters: 32 times 32 in every kernel.
FUSED_BLOCKS = ((1, 4, 8), (2, 2, 8), (2, 4, 4), (4, 1, 8), (4, 2, 4), (4, 4, 2))
FUSED_TILES, FUSED_FILTERS = 32, 32

#: From this compute capability on, the library has the first block only.
_ONE_BLOCK_SINCE = 7.0

#: Multiplications per tile, channel and filter: F(2x2, 3x3) has 4x4.
_FUSED_PRODUCTS = 16

#: Input channels of one main-loop step, warps of a CTA, and CTAs on an SM (256 threads with 128 registers each).
_FUSED_DEPTH, _FUSED_WARPS, _FUSED_RESIDENT = 8.0, 8.0, 2.0

#: Outputs a side of a nonfused tile, and the images that its kernels take at once: a batch of one costs as much as one
#: of sixteen. (So are the grids of all 6,310 such rows of NeuSight's table.)
NONFUSED_SIDE, NONFUSED_IMAGES = 4.0, 16.0


def fused(convs: ConvBatch, machinery: Machinery) -> Estimate:
    """F(2x2, 3x3) in one kernel, after the one that transforms the filters; the fastest of its six blocks."""
    gpu, constants, streams = machinery.gpu, machinery.transforms, machinery.streams
    size = convs.bytes_per_element
    ctas = _fused_ctas(convs, gpu)
    depth = np.ceil(convs.c / _FUSED_DEPTH) * _FUSED_DEPTH
    per_sm = np.ceil(ctas / gpu.sms)
    rounds = np.ceil(per_sm / _FUSED_RESIDENT)
    macs = _FUSED_PRODUCTS * FUSED_TILES * FUSED_FILTERS * depth
    rate = _rate(gpu, constants)
    compute = 2.0 * macs / rate * (per_sm + rounds * machinery.products.half_warps / _FUSED_WARPS)
    latency = rounds * constants.round_latencies * gpu.dram.latency_ns * 1e-3
    # Overlapping input tiles of 4x4, and transformed filters, per channel and CTA.
    loaded = 16.0 * FUSED_TILES / 2.0 + _FUSED_PRODUCTS * FUSED_FILTERS
    images = convs.n * convs.c * convs.h * convs.w * size
    written = convs.n * convs.k * convs.out_h * convs.out_w * size
    filters = convs.k * convs.c * size
    l2_bytes = ctas * depth * loaded * size + written
    footprint = images + written + _FUSED_PRODUCTS * filters
    cold = machinery.l2_state == "cold"
    missing = 1.0 if cold else missing_share(footprint, gpu.l2.size_bytes, streams.cache_share)
    dram_bytes = footprint * missing
    l2 = l2_bytes / (gpu.l2.bandwidth_gbs * 1e3 * machinery.products.l2_share)
    dram = dram_bytes / (gpu.dram.bandwidth_gbs * 1e3 * streams.dram_share)
    launch = gpu.launch_us + 0.0 * compute
    main = Estimate(
        time_us=launch + latency + np.maximum(np.maximum(compute, l2), dram),
        compute_us=compute, l2_us=l2, dram_us=dram, latency_us=latency, launch_us=launch, l1_bytes=l2_bytes,
        l2_bytes=l2_bytes, dram_bytes=dram_bytes, ctas=ctas, waves=ctas / (gpu.sms * _FUSED_RESIDENT),
        tail_utilization=ctas / (np.ceil(ctas / gpu.sms) * gpu.sms),
    )  # fmt: skip
    before = filter_transform(convs.taps * filters, _FUSED_PRODUCTS * filters, machinery)
    return in_turn((before, 1.0), (main, 1.0))


def nonfused(convs: ConvBatch, machinery: Machinery) -> Estimate:
    """F(4x4, 3x3) or F(4x4, 5x5): transform the input and the filters, multiply, transform back."""
    size = convs.bytes_per_element
    points = (NONFUSED_SIDE + convs.r - 1.0) * (NONFUSED_SIDE + convs.s - 1.0)
    images_filled = np.ceil(convs.n / NONFUSED_IMAGES) * NONFUSED_IMAGES
    tiles = images_filled * np.ceil(convs.out_h / NONFUSED_SIDE) * np.ceil(convs.out_w / NONFUSED_SIDE)
    images = convs.n * convs.c * convs.h * convs.w * size
    written = convs.n * convs.k * convs.out_h * convs.out_w * size
    filters = convs.k * convs.c * size
    return in_turn(
        (data_transform(images, tiles * convs.c * points * size, machinery, machinery.l2_state), 1.0),
        (filter_transform(convs.taps * filters, points * filters, machinery), 1.0),
        (data_transform(tiles * convs.k * points * size, written, machinery), 1.0),
        (product(tiles, convs.k, convs.c, points, REAL_BYTES, machinery), 1.0),
    )


def _fused_ctas(convs: ConvBatch, gpu: GpuSpec) -> Floats:
    """The smallest grid that one of the blocks gives."""
    rows, columns = np.ceil(convs.out_h / 2.0), np.ceil(convs.out_w / 2.0)
    blocks = FUSED_BLOCKS if float(gpu.compute_capability) < _ONE_BLOCK_SINCE else FUSED_BLOCKS[:1]
    grids = [np.ceil(convs.n / n) * np.ceil(rows / h) * np.ceil(columns / w) for n, h, w in blocks]
    smallest: Floats = np.min(grids, axis=0)
    return smallest * np.ceil(convs.k / FUSED_FILTERS)


def _rate(gpu: GpuSpec, constants: TransformConstants) -> float:
    """Flops per microsecond of one SM in the fused kernel's main loop."""
    family = family_of(gpu)
    share = constants.fused_efficiency[family if family in constants.fused_efficiency else "typical"]
    return gpu.peak_tflops(DataType.FP32, tensor=False) * 1e6 / gpu.sms * share
