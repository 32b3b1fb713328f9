"""The bytes that Hopper's counters see of convolutions by Fourier transforms, each launch from empty caches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headroom.gpu.spec import GpuSpec
from headroom.predict.counted_bytes import CROSSING, LEARNED, Counted
from headroom.predict.delta import ConvBatch
from headroom.predict.gemm_problems import Floats
from headroom.predict.transformed.fft import SIDES_AT_ONCE
from headroom.predict.transformed.parts import COMPLEX_BYTES, REAL_BYTES

#: CTAs of the complex products: columns, and rows, of which the narrower are taken where they leave fewer idle.
_COLUMNS, _ROWS, _NARROW_ROWS = 64.0, 64.0, 32.0


@dataclass(frozen=True, slots=True)
class LearnedFourier:
    """Bytes that L1 moves per byte of an image or result (whose short rows fill no sectors) and per byte of a
    transformed one, and loads that reach the L2 per load of the products (``benchmarks/traffic_fit.py``).
    """

    image: float = 3.1
    transformed: float = 3.0
    products: float = 1.2


LEARNED_FOURIER = LearnedFourier()

#: Nothing learned: every byte is moved once.
PHYSICS_FOURIER = LearnedFourier(image=1.0, transformed=1.0, products=1.0)


def counted_fourier(convs: ConvBatch, gpu: GpuSpec, learned: LearnedFourier = LEARNED_FOURIER) -> Counted:
    """Bytes of the five launches together, of shape (P,). The tile is the small one where it holds a whole image."""
    down, across = convs.r - 1.0, convs.s - 1.0
    small, large = SIDES_AT_ONCE
    whole = np.maximum(convs.out_h + down, convs.out_w + across) <= small
    side = np.where(whole, small, large)
    tiles = np.ceil(convs.out_h / np.maximum(1.0, side - down)) * np.ceil(convs.out_w / np.maximum(1.0, side - across))
    tiles = tiles * convs.n
    frequencies = side * (side / 2.0 + 1.0)
    values = frequencies * COMPLEX_BYTES
    filters = convs.c * convs.k / convs.groups
    images, results = (size * REAL_BYTES for size in (convs.n * convs.c * convs.h * convs.w, convs.gemm_m * convs.k))
    weights = filters * convs.r * convs.s * REAL_BYTES
    inputs, outputs, kernels = tiles * convs.c * values, tiles * convs.k * values, filters * values
    narrow = np.ceil(convs.k / _NARROW_ROWS)
    rows = np.where(narrow % 2.0 == 1.0, narrow, np.ceil(convs.k / _ROWS))
    loads = kernels * np.ceil(tiles / _COLUMNS) + inputs * rows
    dram = sum(
        _one(read, written, gpu)
        for read, written in (
            (weights, weights), (weights, kernels), (images, inputs), (inputs + kernels, outputs), (outputs, results),
        )
    )  # fmt: skip
    l1 = learned.image * (images + results) + learned.transformed * (inputs + kernels) + outputs + loads + weights
    across_dram = images + results + 2.0 * (weights + inputs + outputs + kernels)
    l2 = images + results + weights + inputs + kernels + 2.0 * outputs + learned.products * loads
    return Counted(l1, l2 + CROSSING * across_dram, dram + 0.0 * l1)


def _one(read: Floats, written: Floats, gpu: GpuSpec) -> Floats:
    """Bytes across DRAM of one launch from empty caches: what it has written last it leaves in the L2."""
    cache = gpu.l2.size_bytes
    queued = LEARNED.lingering * cache * written / (read + written)
    return read + written - np.minimum(written, np.minimum(LEARNED.dirty * cache, queued))
