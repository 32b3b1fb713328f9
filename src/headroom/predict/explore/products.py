"""Tiled products of one sort on many designs: rows are designs times layers, each with its design's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from headroom.gpu.designs import Sheets, stack_of
from headroom.gpu.spec import GpuSpec
from headroom.graph.layer import Layer
from headroom.predict.explore.figures import Figures, Floats, Index
from headroom.predict.explore.space import NEUTRAL, Setting
from headroom.predict.gemm_problems import Tiles
from headroom.predict.gemm_time import Estimate, estimate
from headroom.predict.kinds.context import Context
from headroom.predict.kinds.layer_products import tiled_of
from headroom.predict.kinds.products import LIMITS, judged
from headroom.predict.library import Choice, Tiled, fastest, with_whole_channels
from headroom.predict.roofline import useful_flops
from headroom.predict.sheet_doubt import widened_rows
from headroom.predict.tile_fit import fits
from headroom.predict.tiles import main_loop_depth


@dataclass(frozen=True)
class Products:
    """Layers that the library runs as products, all of one sort and alike in whether a transformed kernel could."""

    tiled: Tiled
    counts: Floats
    flops: Floats
    moved_bytes: Floats
    context: Context

    @classmethod
    def of(cls, layers: Sequence[Layer], counts: Floats, sort: str, context: Context) -> list[Products]:
        """The layers in parts that can each be repeated as a whole."""
        dtype = context.dtype
        tiled = tiled_of(layers, dtype, sort, sized=context.unit == "plain")
        flops = np.array([useful_flops(layer) for layer in layers], dtype=np.float64)
        moved = np.array([layer.bytes(dtype) for layer in layers], dtype=np.float64)
        parts = (np.flatnonzero(tiled.can_transform == able) for able in (False, True))
        return [cls(_some(tiled, i), counts[i], flops[i], moved[i], context) for i in parts if len(i)]

    def __len__(self) -> int:
        return len(self.counts)

    def add_to(self, figures: Figures, sheets: Sheets, which: Index, tile: Setting) -> None:
        c, shape = self.context, (len(which), len(self))
        rows = np.repeat(which, len(self))
        repeated = _repeated(self.tiled, len(which))
        flat, column = stack_of(sheets, rows, (-1,)), stack_of(sheets, rows, (-1, 1))
        # A tile that is set is an im2col kernel's.
        asked = repeated if tile == NEUTRAL else replace(repeated, convs=None)
        choice = fastest(asked, column, c.dtype, c.calibration, c.l2_state)
        if tile != NEUTRAL:
            cut = self._cut(repeated, flat, choice.tiles, tile)
            choice = Choice(cut, choice.tiles, np.full(len(rows), ""))
        flops, moved = np.tile(self.flops, len(which)), np.tile(self.moved_bytes, len(which))
        found = judged(repeated, choice, flops, moved, flat, c)
        figures.add(
            found.time_us.reshape(shape),
            widened_rows(found.error_pct, found.limit, LIMITS, c.gpu).reshape(shape),
            choice.estimate.dram_bytes.reshape(shape),
            found.limit.reshape(shape),
            LIMITS,
            self.counts,
        )

    def _cut(self, tiled: Tiled, gpu: GpuSpec, chosen: Tiles, tile: Setting) -> Estimate:
        """The products with the tile as set in place of the library's."""
        c = self.context
        constants = c.calibration.gemm(c.gpu, c.dtype, tiled.sort)
        whole = with_whole_channels(tiled.problems, tiled.taps, constants.channel_bytes / c.dtype.bytes)
        if tile.size is None:
            m, n = chosen.m * tile.number, chosen.n * tile.number
            # Where the larger tile fits no SM, the library keeps its own.
            held = fits(m, n, chosen.k, gpu, c.dtype)
            tiles = Tiles(np.where(held, m, chosen.m), np.where(held, n, chosen.n), chosen.k, chosen.splits)
        else:
            m, n, k = (np.full(len(whole), float(part)) for part in tile.size)
            usual = main_loop_depth(c.gpu, c.dtype, c.unit)
            tiles = Tiles(m, n, np.where(k > 0, k, usual), np.ones(len(whole)))
        return estimate(whole, tiles, gpu, c.dtype, c.unit, constants, c.l2_state)


def _some(tiled: Tiled, index: Index) -> Tiled:
    convs = None if tiled.convs is None else tiled.convs.take(index)
    channels = None if tiled.channels is None else tiled.channels.rows(index)
    return Tiled(tiled.problems.rows(index), tiled.taps[index], tiled.can_transform[index], tiled.sort, convs, channels)


def _repeated(tiled: Tiled, times: int) -> Tiled:
    """The products once per design, design after design."""
    index = np.tile(np.arange(len(tiled.problems)), times)
    return _some(tiled, index)
