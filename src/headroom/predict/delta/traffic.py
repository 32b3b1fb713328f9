"""How many bytes each level of the memory hierarchy moves (paper, section IV, eqs. 2-10).

Every function takes arrays with one entry per layer. Volumes are per CTA and main-loop iteration unless they
say otherwise, and averaged over the grid: loads outside the matrices are predicated off, so a grid's edge
CTAs load less. (Only so does a 1x1 layer with 16 filters reach the 90 % L2 miss rate of section III.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headroom.predict.delta.reading import PAPER, Reading
from headroom.predict.delta.shapes import Array, ConvBatch
from headroom.predict.delta.tiles import WARP, TileBatch

#: MLI_Filter for (blk_K, bytes per element) that the paper states (section IV-A).
STATED_FILTER_INEFFICIENCY = {(8, 4): 2.0, (4, 4): 2.75}
SECTOR_BYTES = 32


@dataclass(frozen=True, slots=True)
class Grid:
    """The im2col GEMM cut into CTAs, with the part of a tile that an average CTA really loads."""

    gemm_m: Array
    gemm_n: Array
    gemm_k: Array
    rows: Array
    columns: Array
    ctas: Array
    iterations: Array
    loaded_m: Array
    loaded_n: Array
    loaded_k: Array


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes loaded per CTA and iteration (TpL) and by the whole layer (T), and bytes stored by the layer."""

    l1_per_iteration: Array
    l2_per_iteration: Array
    dram_per_iteration: Array
    l1_bytes: Array
    l2_bytes: Array
    dram_bytes: Array
    store_bytes: Array

    @property
    def l1_miss_rate(self) -> Array:
        """What L1 passes on to L2, of the bytes requested from it."""
        return self.l2_bytes / self.l1_bytes

    @property
    def l2_miss_rate(self) -> Array:
        """What L2 passes on to DRAM, of the bytes requested from it."""
        return self.dram_bytes / self.l2_bytes


def grid(convs: ConvBatch, tiles: TileBatch) -> Grid:
    """CTAs and main-loop iterations (paper, section II-C). Each group is a GEMM of its own."""
    m, n, k = convs.gemm_m, convs.gemm_n, convs.gemm_k
    rows, columns, iterations = np.ceil(m / tiles.m), np.ceil(n / tiles.n), np.ceil(k / tiles.k)
    return Grid(
        gemm_m=m, gemm_n=n, gemm_k=k, rows=rows, columns=columns, ctas=rows * columns * convs.groups,
        iterations=iterations, loaded_m=m / rows, loaded_n=n / columns, loaded_k=k / iterations,
    )  # fmt: skip


def requested_per_used(convs: ConvBatch) -> Array:
    """Elements requested per element used (eq. 2): a row of the padded input over a row of outputs.

    The paper writes a row of outputs as (W_i + 2 Pad - W_f + 1) / Strd; the layer's own output width is the
    same where the stride divides, and exact where it does not. Rows that the stride skips are never requested.
    """
    return convs.padded_w / convs.out_w


def input_inefficiency(convs: ConvBatch, request_bytes: float, reading: Reading = PAPER) -> Array:
    """MLI_IFmap: L1 requests that a warp makes per request it would make if packed and aligned (eq. 3)."""
    packed = WARP * convs.bytes_per_element / request_bytes
    spanned = requested_per_used(convs) * packed
    # A run that starts anywhere touches one line more than it fills; the paper's ceiling leaves that out for
    # whole numbers, that is for 1x1 layers (see Reading.unaligned_requests).
    requests = np.floor(spanned) + 1 if reading.unaligned_requests else np.ceil(spanned)
    return requests / packed


def filter_inefficiency(convs: ConvBatch, tiles: TileBatch) -> Array:
    """MLI_Filter: 2.0 for blk_K = 8 and 2.75 for blk_K = 4 (stated below eq. 3).

    A warp reads runs of blk_K elements from several filters. 2.75 is the mean number of 32-byte sectors that
    such a run of 16 bytes touches over all its alignments, per half a sector used. The same mean is used where
    the paper states nothing (for blk_K = 8 it is 1.875, which the paper gives as 2.0).
    """
    sector = SECTOR_BYTES / convs.bytes_per_element
    mean = (1 + (tiles.k - 1) / sector) * sector / tiles.k
    for (depth, size), stated in STATED_FILTER_INEFFICIENCY.items():
        mean = np.where((tiles.k == depth) & (convs.bytes_per_element == size), stated, mean)
    return mean


def l1_elements(convs: ConvBatch, tiles: TileBatch, cut: Grid, request_bytes: float, reading: Reading) -> Array:
    """Elements requested from L1 (eq. 4).

    Eq. 4 writes (M x K) and (N x K), each once; but every column of CTAs loads the input again and every row
    the filters, as eq. 9 counts them. Read once, L1 would pass on more than it is asked for.
    """
    inputs = cut.loaded_m * cut.loaded_k * input_inefficiency(convs, request_bytes, reading)
    filters = cut.loaded_n * cut.loaded_k * filter_inefficiency(convs, tiles)
    return inputs + filters


def vertical_distance(convs: ConvBatch, cut: Grid) -> Array:
    """DIST_V: addresses between the top and the bottom of one column of the input tile (eq. 5)."""
    return cut.loaded_m * requested_per_used(convs)


def mean_vertical_distance(convs: ConvBatch, cut: Grid, reading: Reading = PAPER) -> Array:
    """A_DIST_V: as many DIST_V as the tile meets channels (eq. 6), below one where iterations share a channel."""
    channels = cut.loaded_k / convs.taps
    if not reading.reuse_across_iterations:
        channels = np.maximum(channels, 1.0)
    return vertical_distance(convs, cut) * channels


def horizontal_distance(convs: ConvBatch, cut: Grid) -> Array:
    """DIST_H: addresses between the first and the last column of the input tile (eq. 7).

    By the text: adjacent columns are 1 apart within a filter row and W_i + 2 Pad - W_f + 1 across its edge, and
    blk_K columns meet (blk_K - 1) / W_f edges. Eq. 7 as printed is this for at most one edge; for more its
    weight 1 - (blk_K - 1) / W_f is negative (blk_K = 8 on a 3x3 filter), and the distance with it. Its Strd
    before the steps contradicts the text, and a filter's taps are one element apart whatever the stride.
    """
    steps = cut.loaded_k - 1
    # A filter of one row has no edge inside a channel, and eq. 6 counts the channels.
    edges = np.where(convs.r > 1, steps / convs.s, 0.0)
    across = np.maximum(convs.dilation_h * convs.padded_w - convs.dilation_w * (convs.s - 1), 1.0)
    return edges * across + np.maximum(steps - edges, 0.0) * convs.dilation_w


def mean_horizontal_distance(convs: ConvBatch, cut: Grid) -> Array:
    """A_DIST_H: one DIST_H more for each further sample inside the tile (eq. 8)."""
    return horizontal_distance(convs, cut) * (1 + cut.loaded_m / (convs.out_h * convs.out_w))


def l2_input_elements(convs: ConvBatch, cut: Grid, request_bytes: float, reading: Reading = PAPER) -> Array:
    """A_DIST_IFmap: unique elements of the input tile, which L1 requests from L2 (section IV-B).

    For 1x1 and fully-connected layers every element is unique: height *times* width of the tile. (The paper
    calls them DIST_V and DIST_H, which it adds elsewhere; their sum would be no traffic of unique elements.)
    L1 never asks for more than it was asked for.
    """
    unique = mean_vertical_distance(convs, cut, reading) + mean_horizontal_distance(convs, cut)
    tile = cut.loaded_m * cut.loaded_k
    unique = np.where(convs.is_pointwise, tile, unique)
    return np.minimum(unique, tile * input_inefficiency(convs, request_bytes, reading))


def dram_input_elements(convs: ConvBatch, cut: Grid, reading: Reading = PAPER) -> Array:
    """T_DRAM_IFmap of the layer: the input once per column of CTA tiles (eq. 10), all groups.

    Elements that the stride of a 1x1 layer steps over are excluded, as stated below eq. 10.
    """
    padded = reading.padded_input
    height = convs.padded_h if padded else convs.h
    width = convs.padded_w if padded else convs.w
    whole = height * width
    positions = np.where(convs.is_pointwise, np.minimum(convs.out_h * convs.out_w, whole), whole)
    return convs.n * positions * convs.c * cut.columns


def dram_filter_elements(convs: ConvBatch, cut: Grid) -> Array:
    """T_DRAM_Filter of the layer: every filter once (eq. 10)."""
    return cut.gemm_k * convs.k


def traffic(convs: ConvBatch, tiles: TileBatch, cut: Grid, request_bytes: float, reading: Reading = PAPER) -> Traffic:
    """Loads at every level (eqs. 4, 9, 10), and the layer's stores. Equations count elements, this bytes."""
    size = convs.bytes_per_element
    loads = cut.ctas * cut.iterations
    l1 = l1_elements(convs, tiles, cut, request_bytes, reading) * size
    # Eq. 9: unique elements of both tiles; the filter tile's are all unique.
    filters = cut.loaded_n * cut.loaded_k
    l2 = (l2_input_elements(convs, cut, request_bytes, reading) + filters) * size
    dram = (dram_input_elements(convs, cut, reading) + dram_filter_elements(convs, cut)) * size
    return Traffic(
        l1_per_iteration=l1,
        l2_per_iteration=l2,
        dram_per_iteration=dram / loads,
        l1_bytes=l1 * loads,
        l2_bytes=l2 * loads,
        dram_bytes=dram,
        store_bytes=cut.gemm_m * convs.k * size,
    )
