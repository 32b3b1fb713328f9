"""The tiles that tuned libraries have for an architecture, and the choice among them."""

from __future__ import annotations

import itertools

import numpy as np

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.gemm_time import Tiles

#: cuDNN's implicit-GEMM kernels for plain fp32, and cuBLAS's sgemm kernels: (m, n, k).
PLAIN_CONVOLUTION_TILES = ((128, 128, 8), (128, 64, 8), (128, 32, 8))
PLAIN_MATMUL_TILES = (
    (128, 128, 8), (128, 64, 8), (64, 128, 8), (64, 64, 8), (128, 32, 8), (32, 128, 8), (32, 32, 8),
)  # fmt: skip

#: Tensor-core tiles (CUTLASS's and the libraries'); K is in bytes, so that it holds for every data type.
TENSOR_TILES = (
    (256, 128, 64), (128, 256, 64), (128, 128, 64), (128, 64, 64), (64, 128, 64), (64, 64, 64),
    (256, 64, 64), (64, 256, 64), (64, 32, 128), (32, 64, 128), (32, 32, 128), (16, 64, 128),
)  # fmt: skip

#: Over how many CTAs a library divides the K dimension when the grid is small.
SPLITS = (1, 2, 4, 8, 16)


def candidates(gpu: GpuSpec, dtype: DataType, unit: str, *, convolution: bool) -> Tiles:
    """What a tuned library chooses from: arrays of shape (C,), larger tiles first.

    Strict-fp32 convolutions have no split-K kernels in forward direction; every other product has.
    """
    if unit == "plain" and convolution:
        shapes = [(m, n, k, 1) for m, n, k in PLAIN_CONVOLUTION_TILES]
    elif unit == "plain":
        shapes = [(*tile, split) for tile, split in itertools.product(PLAIN_MATMUL_TILES, SPLITS)]
    else:
        deep = 2 if float(gpu.compute_capability) >= 8.9 else 1
        shapes = [
            (m, n, deep * k_bytes // dtype.bytes, split)
            for (m, n, k_bytes), split in itertools.product(TENSOR_TILES, SPLITS)
        ]
    columns = np.array(shapes, dtype=np.float64).T
    return Tiles(columns[0], columns[1], columns[2], columns[3])
