"""Convolutions by Fourier transforms in tiles, as libraries run them on plain units: a model of their own.

The images are cut into overlapping tiles of 16x16 or 32x32 values, which with the filters are transformed, multiplied
as one complex product per frequency and transformed back. A tile yields fewer outputs than it has values, but an
output no longer costs one multiply-add per filter tap. Five launches carry it: the filter flipped, two transforms, the
products, and the transform back; the transformed tensors pass L2, or DRAM where they do not fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.delta import ConvBatch
from headroom.predict.gemm_time import Estimate

#: Values per side of a tile, launches, bytes of a complex number and of a real one.
TILE_SIDES, LAUNCHES, COMPLEX_BYTES, REAL_BYTES = (16.0, 32.0), 5.0, 8.0, 4.0

#: A complex multiply-add is four real ones; the products run with CTAs of 32x32 outputs.
_FLOPS_PER_COMPLEX_MAC, _CTA_SIDE = 8.0, 32.0

#: CTAs beyond which an SM's rate grows no more.
_ENOUGH_CTAS = 8.0


@dataclass(frozen=True, slots=True)
class FourierConstants:
    """``launch_us`` of each of the launches; ``copies`` and ``dram``, the shares of the L2's and the DRAM's bandwidth
    that transforms reach; ``efficiency`` of the complex products with many CTAs per SM; ``lone_cta``, how much longer
    than its share a single CTA takes; ``cache``, the share of the last-level cache that holds transformed tensors.
    """

    launch_us: float
    copies: float
    dram: float
    efficiency: float
    lone_cta: float
    cache: float = 0.6


def estimate_fourier(
    convs: ConvBatch, gpu: GpuSpec, dtype: DataType, constants: FourierConstants, l2_state: str
) -> Estimate:
    """Time and traffic with the faster of both tiles, of shape (P,); ``gpu`` may be a column of designs."""
    columns = convs.column()
    small, large = (_with_tile(side, columns, gpu, dtype, constants, l2_state) for side in TILE_SIDES)
    wins = small.time_us <= large.time_us
    return Estimate(*(np.where(wins, getattr(small, name), getattr(large, name))[:, 0] for name in Estimate.__slots__))


def _with_tile(
    side: float, convs: ConvBatch, gpu: GpuSpec, dtype: DataType, constants: FourierConstants, l2_state: str
) -> Estimate:
    down, across = convs.r - 1.0, convs.s - 1.0
    # A filter larger than the tile has no such kernel: its one output per tile makes it slow enough.
    tiles = np.ceil(convs.out_h / np.maximum(1.0, side - down)) * np.ceil(convs.out_w / np.maximum(1.0, side - across))
    tiles = tiles * convs.n
    frequencies = side * (side / 2.0 + 1.0)
    filters = convs.c * convs.k
    transformed = tiles * (convs.c + convs.k) + filters
    transformed_bytes = transformed * frequencies * COMPLEX_BYTES
    images = convs.n * convs.c * (convs.out_h + down) * (convs.out_w + across)
    outputs = convs.n * convs.k * convs.out_h * convs.out_w
    own_bytes = (images + outputs + filters * convs.r * convs.s) * REAL_BYTES
    moved = own_bytes + 2.0 * transformed_bytes
    fits = transformed_bytes <= gpu.l2.size_bytes * constants.cache
    dram_rate = gpu.dram.bandwidth_gbs * 1e3 * constants.dram
    l2 = np.where(fits, moved / (gpu.l2.bandwidth_gbs * 1e3 * constants.copies), 0.0)
    dram_bytes = np.where(fits, 0.0, moved)
    if l2_state == "cold":
        dram_bytes = dram_bytes + own_bytes * fits
    ctas = frequencies * np.ceil(tiles / _CTA_SIDE) * np.ceil(convs.k / _CTA_SIDE)
    per_sm = np.ceil(ctas / gpu.sms)
    rate = gpu.peak_tflops(dtype, tensor=False) * 1e6 / gpu.sms * constants.efficiency
    busy = per_sm * _CTA_SIDE * _CTA_SIDE * convs.c * _FLOPS_PER_COMPLEX_MAC / rate
    compute = busy * (1.0 + constants.lone_cta / np.minimum(per_sm, _ENOUGH_CTAS))
    dram = dram_bytes / dram_rate
    launch = LAUNCHES * constants.launch_us + 0.0 * compute
    return Estimate(
        time_us=launch + l2 + dram + compute,
        compute_us=compute,
        l2_us=l2,
        dram_us=dram,
        latency_us=0.0 * compute,
        launch_us=launch,
        l1_bytes=np.maximum(moved, dram_bytes),
        l2_bytes=np.maximum(moved, dram_bytes),
        dram_bytes=dram_bytes,
        ctas=ctas,
        waves=ctas / gpu.sms,
        tail_utilization=ctas / (per_sm * gpu.sms),
    )
