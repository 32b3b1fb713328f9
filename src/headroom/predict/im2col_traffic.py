"""What im2col convolutions on plain units move through the caches: DeLTA's loads and the output's stores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.delta import PAPER, ConvBatch, Machine, TileBatch
from headroom.predict.delta.traffic import grid, traffic
from headroom.predict.gemm_problems import Floats, Tiles
from headroom.predict.gemm_time import Estimate

#: The paper's main-loop depths: 8 for 128-wide tiles, 4 for narrower ones (section IV-B).
_WIDE_TILE, _WIDE_DEPTH, _NARROW_DEPTH = 128, 8.0, 4.0


def paper_tiles(tile_m: Floats, tile_n: Floats) -> TileBatch:
    """Tiles with the main-loop depth that the paper states for their width."""
    return TileBatch(tile_m, tile_n, np.where(tile_n >= _WIDE_TILE, _WIDE_DEPTH, _NARROW_DEPTH))


def with_cache_bytes(
    best: Estimate, convs: ConvBatch, tiles: Tiles, stored_bytes: Floats, gpu: GpuSpec, dtype: DataType,
    where: NDArray[np.bool_] | bool = True,
) -> Estimate:  # fmt: skip
    """``best`` with DeLTA's bytes at L1 and at L2, of shape (P,): equations 4 and 9 plus every output once.

    What crosses DRAM passes L2, and what crosses L2 passes L1, also where the equations' averages say less. Rows where
    ``where`` does not hold keep their own bytes: they are no im2col kernels, and have no tile.
    """
    cut_tiles = paper_tiles(np.maximum(tiles.m, 1.0), np.maximum(tiles.n, 1.0))
    request = Machine.of(gpu, dtype).l1_request_bytes
    moved = traffic(convs, cut_tiles, grid(convs, cut_tiles), request, PAPER)
    l2 = np.where(where, np.maximum(moved.l2_bytes + stored_bytes, best.dram_bytes), best.l2_bytes)
    l1 = np.where(where, np.maximum(moved.l1_bytes + stored_bytes, l2), best.l1_bytes)
    return replace(best, l1_bytes=l1, l2_bytes=l2)
