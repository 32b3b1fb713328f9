"""The tiles that tuned libraries have for an architecture, and the choice among them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.constants import GemmConstants, family_of
from headroom.predict.gemm_problems import Floats, Problems, Tiles
from headroom.predict.gemm_time import Estimate, estimate

#: cuDNN's implicit-GEMM kernels for plain fp32, and cuBLAS's sgemm kernels: (m, n, k).
PLAIN_CONVOLUTION_TILES = ((128, 128, 8), (128, 64, 8), (128, 32, 8))
PLAIN_MATMUL_TILES = (
    (128, 128, 8), (128, 64, 8), (64, 128, 8), (64, 64, 8), (128, 32, 8), (32, 128, 8), (64, 32, 8), (32, 64, 8),
    (32, 32, 8),
)  # fmt: skip

#: cuDNN's kernels that work out each load's address as they go (IMPLICIT_GEMM): small tiles, for small grids.
GATHERING_TILES = ((64, 64, 8), (32, 32, 8))

#: Those for input gradients of convolutions with longer steps.
STRIDED_GRADIENT_TILES = ((128, 64, 8), (64, 64, 8))

#: Tensor-core tiles (CUTLASS's and the libraries'); K is in bytes, so that it holds for every data type.
TENSOR_TILES = (
    (256, 128, 64), (128, 256, 64), (128, 128, 64), (128, 64, 64), (64, 128, 64), (64, 64, 64),
    (256, 64, 64), (64, 256, 64), (64, 32, 128), (32, 64, 128), (32, 32, 128), (16, 64, 128),
)  # fmt: skip

#: The convolution kernel of the first tensor cores (Volta, Turing): one tile, and no split of K.
FIRST_TENSOR_CONVOLUTION_TILES = ((256, 128, 64),)

#: The largest tile (in outputs) of kernels that slice each step among groups of warps, and the groups.
_SLICED_OUTPUTS, _SLICES = 4096.0, 4.0

#: Over how many CTAs a library divides the K dimension when the grid is small.
SPLITS = (1, 2, 4, 8, 16, 32)

#: Products times candidates that are looked at together: their arrays stay inside a CPU's cache.
_PAIRS_AT_ONCE = 24_576


def divides_depth(gpu: GpuSpec, unit: str, sort: str) -> bool:
    """Whether the library has kernels that divide K among CTAs.

    ``sort`` is ``matmul`` or a convolution's direction. Forward and input-gradient convolutions have none on
    plain units and on the first tensor cores.
    """
    modern = unit == "tensor" and float(gpu.compute_capability) >= 8.0
    return modern or sort in ("matmul", "wgrad", "pointwise", "vector")


def candidates(gpu: GpuSpec, dtype: DataType, unit: str, *, may_split: bool) -> Tiles:
    """What a tuned library chooses from: arrays of shape (C,), larger tiles first.

    ``may_split`` is :func:`divides_depth`; kernels that cannot divide K also have fewer tiles.
    """
    deep = 2 if float(gpu.compute_capability) >= 9.0 else 1
    if unit == "plain" and not may_split and float(gpu.compute_capability) >= 9.0:
        shapes = [(m, n, k, 1) for m, n, k in PLAIN_MATMUL_TILES]
    elif unit == "plain" and not may_split:
        shapes = [(m, n, k, 1) for m, n, k in PLAIN_CONVOLUTION_TILES]
    elif unit == "plain":
        shapes = [(*tile, split) for tile, split in itertools.product(PLAIN_MATMUL_TILES, SPLITS)]
    elif not may_split:
        shapes = [(m, n, k_bytes // dtype.bytes, 1) for m, n, k_bytes in FIRST_TENSOR_CONVOLUTION_TILES]
    else:
        shapes = [
            (m, n, deep * k_bytes // dtype.bytes, split)
            for (m, n, k_bytes), split in itertools.product(TENSOR_TILES, SPLITS)
        ]
    return _tiles(shapes)


def undivided(shapes: Sequence[tuple[int, int, int]]) -> Tiles:
    """Tiles of kernels that do not divide K: arrays of shape (C,)."""
    return _tiles([(*shape, 1) for shape in shapes])


def batch_candidates() -> Tiles:
    """The tiles of plain kernels that run a batch of products in one launch; they divide no K. Shape (C,)."""
    return _tiles([(*tile, 1) for tile in PLAIN_MATMUL_TILES])


def _tiles(shapes: Sequence[tuple[int, ...]]) -> Tiles:
    return Tiles(*np.array(shapes, dtype=np.float64).T)


def choose(
    problems: Problems,
    gpu: GpuSpec,
    dtype: DataType,
    unit: str,
    constants: GemmConstants,
    l2_state: str,
    *,
    may_split: bool,
    among: Tiles | None = None,
) -> tuple[Estimate, Tiles]:
    """Every product with the tile that a tuned library would take, of those ``among`` (:func:`candidates` unless
    given): the fastest, large plain ones with a handicap because cuDNN prefers 64-wide tiles until the larger one
    clearly wins. Shapes are (P,). The handicap is the one place where a faster GPU can be slower, by no more than
    the handicap: the library then prefers a narrower tile than the fastest.
    """
    tiles = among or candidates(gpu, dtype, unit, may_split=may_split)
    wide = np.where((tiles.n >= 128) & (unit == "plain"), constants.wide_handicap, 1.0)
    parts: list[Estimate] = []
    choices = []
    step = max(1, _PAIRS_AT_ONCE // len(tiles.m))
    for start in range(0, len(problems), step):
        rows = slice(start, start + step)
        part = problems.rows(rows)
        every = estimate(part.column(), tiles, gpu.rows(rows), dtype, unit, constants, l2_state)
        looks = every.time_us * wide
        if constants.batched_tiles:
            looks = np.where(_taken(part, tiles, gpu, constants), looks, np.inf)
        choice = np.argmin(looks, axis=1)
        parts.append(every.take(choice))
        choices.append(choice)
    index = np.concatenate(choices) if choices else np.zeros(0, dtype=np.intp)
    chosen = Tiles(tiles.m[index], tiles.n[index], tiles.k[index], tiles.splits[index])
    return Estimate.concatenate(parts), chosen


def _taken(problems: Problems, tiles: Tiles, gpu: GpuSpec, constants: GemmConstants) -> NDArray[np.bool_]:
    """Whether the library takes each tile for each product, shape (P, C): all where nothing is known.

    Kernels for batches count the batch in the grid's dimension that others count the parts of K in: they divide none.
    """
    names = np.char.add(np.char.add(tiles.m.astype(int).astype(str), "x"), tiles.n.astype(int).astype(str))
    known = constants.batched_tiles.get(family_of(gpu))
    batched: NDArray[np.bool_] = (tiles.splits == 1) & (np.isin(names, known) if known else True)
    taken: NDArray[np.bool_] = (problems.batch == 1)[:, None] | batched
    return taken


def given_depth(problems: Problems, m: Floats, n: Floats, gpu: GpuSpec, dtype: DataType, unit: str) -> Floats:
    """K elements per main-loop step of convolution kernels with the tiles ``m`` x ``n``, of shape (P,).

    From Volta on cuDNN runs tiles of two warps, where every SM has one CTA at most, with kernels whose steps are
    several times as deep: as many groups of warps divide a step among them.
    """
    usual = main_loop_depth(gpu, dtype, unit)
    alone = np.ceil(problems.m / m) * np.ceil(problems.n / n) * problems.batch <= gpu.sms
    sliced = alone & (m * n <= _SLICED_OUTPUTS) & (unit == "plain") & (7.0 <= float(gpu.compute_capability) < 9.0)
    return np.where(sliced, _SLICES * usual, usual)


def main_loop_depth(gpu: GpuSpec, dtype: DataType, unit: str) -> float:
    """K elements per main-loop step where a caller gives a tile without its K."""
    tiles = candidates(gpu, dtype, unit, may_split=divides_depth(gpu, unit, "forward"))
    return float(tiles.k[0])
