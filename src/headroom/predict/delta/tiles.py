"""CTA tiles: which of the kernels' tiles a GEMM of some width gets (paper, section IV-B and Fig. 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headroom.predict.delta.shapes import Array

WARP = 32  # threads

#: Accumulators that one thread keeps in registers: an 8 x 8 square, whatever the tile. The published tables of
#: kernel launches bear it out: 128x128, 128x64 and 128x32 tiles run with 256, 128 and 64 threads.
ACCUMULATORS_PER_THREAD = 64

#: Warp tile (blk_WM + blk_WN) of 32 threads with 8 x 8 accumulators: 64 x 32, the squarest (as in CUTLASS,
#: the paper's reference [31], which the paper names and gives no numbers from).
WARP_TILE_M, WARP_TILE_N = 64, 32


@dataclass(frozen=True, slots=True)
class TileBatch:
    """The CTA tile of each layer: ``m`` rows, ``n`` columns and ``k`` deep per main-loop iteration."""

    m: Array
    n: Array
    k: Array

    @property
    def threads(self) -> Array:
        """Threads per CTA, whole warps."""
        return np.ceil(self.m * self.n / (ACCUMULATORS_PER_THREAD * WARP)) * WARP

    @property
    def warps(self) -> Array:
        return self.threads / WARP

    @classmethod
    def constant(cls, count: int, tile: tuple[int, int, int]) -> TileBatch:
        """The same ``(m, n, k)`` for ``count`` layers."""
        m, n, k = (np.full(count, float(value)) for value in tile)
        return cls(m, n, k)


@dataclass(frozen=True, slots=True)
class TileTable:
    """Tiles to choose from, widest first, and what each column of a tile costs against the widest's.

    The tile that covers a GEMM's columns at the least cost wins; ties go to the wider one, which reuses more.
    A narrow tile costs more per column because it reads the input more often for the same arithmetic.
    """

    tiles: tuple[tuple[int, int, int], ...]
    column_costs: tuple[float, ...]

    def choose(self, gemm_n: npt.ArrayLike) -> TileBatch:
        """The tile for each GEMM width (output channels of one group)."""
        columns = np.atleast_1d(np.asarray(gemm_n, dtype=np.float64))
        costs = np.stack([
            np.ceil(columns / n) * n * cost
            for (_, n, _), cost in zip(self.tiles, self.column_costs, strict=True)
        ])  # fmt: skip
        # argmin takes the first of equals: the widest.
        chosen = np.asarray(self.tiles, dtype=np.float64)[np.argmin(costs, axis=0)]
        return TileBatch(chosen[:, 0].copy(), chosen[:, 1].copy(), chosen[:, 2].copy())

    def scaled(self, factor: int) -> TileTable:
        """The same choice among tiles ``factor`` times as high and wide (paper, Fig. 16a: "CTA tile H,W")."""
        return TileTable(tuple((m * factor, n * factor, k) for m, n, k in self.tiles), self.column_costs)


#: The paper's three tiles. Its Fig. 6 (width by C_o) is a picture without numbers; this rule gives 32 up to
#: C_o = 32, 64 up to 64, and 32 again for 65-96, where three narrow tiles waste no column. That last step is
#: in every published launch table (P100: 13 of 13 kernels) and is what makes AlexNet's first layer (C_o = 96)
#: L1-bound, as section VII-B states; with a 128-wide tile it would not be.
PAPER_TILES = TileTable(((128, 128, 8), (128, 64, 4), (128, 32, 4)), (1.0, 1.0, 1.25))

#: cuDNN 8 prefers the 64-wide tile also where the 128-wide wastes nothing. Costs set on launch tables of
#: im2col kernels on P100, V100 and T4: the choice agrees with 72 %, 79 % and 65 % of them.
CUDNN8_TILES = TileTable(((128, 128, 8), (128, 64, 4), (128, 32, 4)), (1.0, 0.99, 1.1))
