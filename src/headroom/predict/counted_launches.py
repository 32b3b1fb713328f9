"""The bytes at every level of the kernels that the theory chooses, as the architecture's counters see them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.constants import unit_of
from headroom.predict.counted_bytes import Counted, Launch, counted
from headroom.predict.delta import ConvBatch
from headroom.predict.fourier_bytes import counted_fourier
from headroom.predict.gemm_problems import Floats, Tiles
from headroom.predict.gemm_time import Estimate
from headroom.predict.im2col_traffic import with_cache_bytes
from headroom.predict.kernel_sorts import direction_of
from headroom.predict.library import Choice, Tiled

#: Architectures whose counters were compared with.
COUNTED = ("9.0",)

#: Hopper's transformed kernels, by the name that their model has.
_FOURIER = "FFT_TILING_AT_ONCE"

#: CTAs that load an operand together: kernels for products have pairs, those for convolutions more.
_PAIR, _CLUSTER = 2.0, 4.0


def with_level_bytes(choice: Choice, tiled: Tiled, gpu: GpuSpec, dtype: DataType) -> Estimate:
    """``choice``'s estimate with the bytes that counters would see, or DeLTA's where nobody compared them with any.

    Gradients of convolutions were not counted. Bytes across DRAM stay those of the time: what a kernel leaves unwritten
    when it ends crosses later.
    """
    best, direction = choice.estimate, direction_of(tiled.sort)
    if gpu.compute_capability not in COUNTED or direction in ("dgrad", "wgrad"):
        if tiled.convs is None or direction == "dgrad" or unit_of(gpu, dtype) != "plain":
            return best
        stored, direct = tiled.problems.c_bytes, choice.transformed == ""
        return with_cache_bytes(best, tiled.convs, choice.tiles, stored, gpu, dtype, where=direct)
    found = counted_choice(choice, tiled, gpu, dtype)
    # What crosses DRAM passes the caches.
    l1, l2 = (np.maximum(bytes_, best.dram_bytes) for bytes_ in (found.l1, found.l2))
    return replace(best, l1_bytes=l1, l2_bytes=l2)


def counted_choice(choice: Choice, tiled: Tiled, gpu: GpuSpec, dtype: DataType) -> Counted:
    """What the counters see of the chosen kernels, each launch from empty caches; shape (P,).

    Transformed kernels that were not counted keep their model's bytes.
    """
    tiles = choice.tiles
    # Transformed kernels have no tile.
    tiles = replace(tiles, m=np.maximum(tiles.m, 1.0), n=np.maximum(tiles.n, 1.0), k=np.maximum(tiles.k, 1.0))
    launch = launch_of(replace(choice, tiles=tiles), tiled, gpu, dtype)
    found = counted(tiled.problems, tiles, launch, gpu, float(dtype.bytes))
    is_transformed = choice.transformed != ""
    if tiled.convs is None or not is_transformed.any():
        return found
    best, other = choice.estimate, counted_fourier(tiled.convs, gpu)
    kinds = (choice.transformed == _FOURIER, is_transformed)
    l1, l2, dram = (
        np.select(kinds, (counted_there, own), default=direct)
        for counted_there, own, direct in (
            (other.l1, best.l1_bytes, found.l1),
            (other.l2, best.l2_bytes, found.l2),
            (other.dram, best.dram_bytes, found.dram),
        )
    )
    return Counted(l1, l2, dram)


def launch_of(choice: Choice, tiled: Tiled, gpu: GpuSpec, dtype: DataType) -> Launch:
    """What is usual for kernels of the chosen tiles."""
    problems, best, tiles = tiled.problems, choice.estimate, choice.tiles
    ones = np.ones(len(problems))
    taps = ones if tiled.convs is None else np.where(tiled.taps > 1.0, tiled.convs.s, 1.0)
    gathers = taps > 1.0
    plain = unit_of(gpu, dtype) == "plain"
    odd = ones < 0.0 if tiled.channels is None else tiled.channels.odd_in + tiled.channels.odd_out > 0.0
    along_m, along_n = _cluster(tiled, tiles, gathers)
    return Launch(
        resident=np.maximum(1.0, best.ctas / (gpu.sms * best.waves)),
        along_m=along_m,
        along_n=along_n,
        bulk=~odd & (not plain),
        by_rows=~gathers & plain,
        inside=ones if tiled.convs is None else inside(tiled.convs),
        taps=taps,
        pitch_bytes=pitch_bytes(tiled.convs, plain) if tiled.convs is not None else 64.0 * ones,
    )


def _cluster(tiled: Tiled, tiles: Tiles, gathers: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """CTAs on either side of a cluster: along the side whose common loads are more."""
    problems = tiled.problems
    rows, columns = np.ceil(problems.m / tiles.m), np.ceil(problems.n / tiles.n)
    share_a = (problems.m * columns > problems.n * rows) & (columns > 1.0) & ~gathers
    along_m = np.where(gathers, np.minimum(rows, _CLUSTER), np.where(share_a, 1.0, np.minimum(rows, _PAIR)))
    return along_m, np.where(share_a, _PAIR, 1.0)


def inside(convs: ConvBatch) -> Floats:
    """Share of im2col's elements that are values of the image: p (p + 1) / stride taps of a row meet p of padding."""
    share = np.ones(len(convs))
    sides = (
        (convs.pad_h, convs.stride_h, convs.out_h, convs.r),
        (convs.pad_w, convs.stride_w, convs.out_w, convs.s),
    )
    for padded, stride, out, taps in sides:
        pad = padded / 2.0
        share = share * np.maximum(0.0, 1.0 - pad * (pad + 1.0) / (stride * out * taps))
    return share


def pitch_bytes(convs: ConvBatch, plain: bool) -> Floats:
    """Between neighbouring rows of A in memory: those of the image, or of its pixels with channels innermost."""
    return (convs.out_w if plain else convs.c / convs.groups) * convs.bytes_per_element
