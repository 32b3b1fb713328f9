"""DeLTA as published on many designs at once: the theory of the paper's own scaling study."""

from __future__ import annotations

import numpy as np

from headroom.errors import UsageError
from headroom.gpu.designs import Sheets, stack_of
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution, Matmul
from headroom.predict.delta import PAPER_TILES, ConvBatch, TileBatch, TileTable, estimate
from headroom.predict.delta.time import CANDIDATES
from headroom.predict.explore.figures import Figures, Index
from headroom.predict.explore.space import NEUTRAL, Setting
from headroom.predict.im2col_traffic import paper_tiles

#: Designs times layers that are looked at together.
_ROWS_AT_ONCE = 4096


class PublishedTheory:
    """Convolutions and matrix products as im2col kernels; ``left_out`` is every other layer."""

    name = "delta"

    def __init__(self, graph: Graph, dtype: DataType) -> None:
        kinds = (LayerKind.CONVOLUTION, LayerKind.MATMUL, LayerKind.MATVEC)
        mine = [c for c in graph.configurations if c.layer.kind in kinds]
        self.left_out = [c.layer for c in graph.configurations if c.layer.kind not in kinds]
        if not mine:
            raise UsageError(f"{graph.name} has no convolution and no matrix product, all that theory delta knows")
        works = [c.layer.work for c in mine]
        self._convs = ConvBatch.of([w for w in works if isinstance(w, Convolution | Matmul)], dtype.bytes)
        self._counts = np.array([c.count for c in mine], dtype=np.float64)
        self._dtype = dtype

    def figures(self, sheets: Sheets, which: Index, tile: Setting) -> Figures:
        answer = Figures.zeros(len(which))
        tiles = self._tiles(tile)
        step = max(1, _ROWS_AT_ONCE // len(self._convs))
        for start in range(0, len(which), step):
            some = which[start : start + step]
            found = estimate(self._convs, stack_of(sheets, some, (-1, 1)), self._dtype, tiles=tiles)
            part = Figures.zeros(len(some))
            part.add(
                found.time_us,
                np.nan,
                np.broadcast_to(found.traffic.dram_bytes, found.time_us.shape),
                found.times.limit,
                CANDIDATES,
                self._counts,
            )
            answer.put(np.arange(start, start + len(some)), part)
        return answer

    def _tiles(self, tile: Setting) -> TileTable | TileBatch:
        """The paper's table, the same with larger tiles (Fig. 16a: "CTA tile H,W"), or one tile for all."""
        if tile == NEUTRAL:
            return PAPER_TILES
        if tile.size is None:
            if tile.number != int(tile.number):
                raise UsageError(f"tile is scaled by {tile.number:g}; theory delta scales tiles by whole factors")
            return PAPER_TILES.scaled(int(tile.number))
        m, n, k = (np.full(len(self._convs), float(part)) for part in tile.size)
        return TileBatch(m, n, k) if tile.size[2] else paper_tiles(m, n)
