"""The fastest that a tuned library has for a group of products of one sort."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration
from headroom.predict.constants import unit_of
from headroom.predict.delta import ConvBatch
from headroom.predict.gemm_problems import Floats, Problems, Tiles
from headroom.predict.gemm_time import Estimate
from headroom.predict.kernel_sorts import STRIDED_GRADIENT
from headroom.predict.kernel_time import Channels, choose_kernels
from headroom.predict.tiles import GATHERING_TILES, STRIDED_GRADIENT_TILES, choose, divides_depth, undivided
from headroom.predict.transformed import Machinery, fastest_transformed

#: Passes that transformed kernels run: with unit steps, an input gradient is a forward convolution whose channels are
#: exchanged.
TRANSFORMED_SORTS = ("forward", "dgrad")

_Columns = TypeVar("_Columns", Estimate, Tiles)


@dataclass(frozen=True, slots=True)
class Tiled:
    """Products of one sort: ``taps`` of each forward convolution's filter (1 for whatever has none), and whether it
    ``can_transform``: Winograd's and the FFT's kernels take unit steps and filters of three taps a side or more.
    ``convs`` are convolutions by their sizes, input gradients as the forward ones that they are; without them only
    im2col kernels are looked at, except where an architecture has constants of its own for transformed ones.
    ``channels`` says what single kernels ask of the products; without it tiles alone are looked at, not a library's
    own kernels.
    """

    problems: Problems
    taps: Floats
    can_transform: NDArray[np.bool_]
    sort: str
    convs: ConvBatch | None = None
    channels: Channels | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Arrays of shape (P,); ``transformed`` names the algorithm of what a transformed kernel runs fastest, and is empty
    for the others. Of such kernels the tile is told where the model has one, else it is 0.
    """

    estimate: Estimate
    tiles: Tiles
    transformed: NDArray[np.str_]


def fastest(tiled: Tiled, gpu: GpuSpec, dtype: DataType, calibration: Calibration, l2_state: str) -> Choice:
    """Every product with its fastest tile: of the usual kernels and, for forward convolutions, of transformed and
    gathering ones where the calibration knows them.
    """
    unit, sort = unit_of(gpu, dtype), tiled.sort
    best, tiles = _direct(tiled, gpu, dtype, calibration, l2_state)
    choice = Choice(best, tiles, np.full(len(tiled.problems), "", dtype="<U20"))
    if sort not in TRANSFORMED_SORTS:
        return choice
    able = np.flatnonzero(tiled.can_transform)
    other = _transformed(tiled, able, gpu, dtype, calibration, l2_state) if len(able) else None
    if other is not None:
        choice = _faster(choice, able, other)
    gathering = calibration.gathering(gpu, dtype) if sort == "forward" else None
    if gathering is not None:
        among = undivided(GATHERING_TILES)
        found = choose(tiled.problems, gpu, dtype, unit, gathering, l2_state, may_split=False, among=among)
        every = np.arange(len(tiled.problems))
        choice = _faster(choice, every, Choice(*found, np.full(len(every), "")))
    return choice


def _transformed(
    tiled: Tiled, able: NDArray[np.intp], gpu: GpuSpec, dtype: DataType, calibration: Calibration, l2_state: str
) -> Choice | None:
    """The rows ``able`` as the fastest of the transformed kernels that are known of."""
    known = calibration.transformed(gpu, dtype, tiled.sort)
    if known is None or tiled.convs is None:
        return None
    transforms, products = known
    machinery = Machinery(gpu, products, calibration.streams(gpu), transforms, l2_state)
    found = fastest_transformed(tiled.convs.take(able), machinery)
    no_tile = np.zeros(len(able))
    return Choice(found.estimate, Tiles(no_tile, no_tile, no_tile, no_tile + 1.0), found.names)


def _direct(
    tiled: Tiled, gpu: GpuSpec, dtype: DataType, calibration: Calibration, l2_state: str
) -> tuple[Estimate, Tiles]:
    """Every product with the fastest of the library's kernels, or of its tiles where its kernels are not known one by
    one or none of them takes the product.
    """
    known = calibration.kernels(gpu, dtype, tiled.sort)
    if known is None or tiled.channels is None:
        return _with_any_tile(tiled.problems, tiled.taps, tiled.sort, gpu, dtype, calibration, l2_state)
    unit = unit_of(gpu, dtype)
    best, places = choose_kernels(tiled.problems, tiled.channels, known, gpu, dtype, unit, l2_state)
    tiles = known.kernels.take(places).tiles(dtype)
    lost = np.flatnonzero(~np.isfinite(best.time_us))
    if not len(lost):
        return best, tiles
    other, others = _with_any_tile(tiled.problems, tiled.taps, tiled.sort, gpu, dtype, calibration, l2_state)
    return _with_rows(best, lost, other, lost), _with_rows(tiles, lost, others, lost)


def _with_any_tile(
    problems: Problems, taps: Floats, sort: str, gpu: GpuSpec, dtype: DataType, calibration: Calibration, l2_state: str
) -> tuple[Estimate, Tiles]:
    unit = unit_of(gpu, dtype)
    constants = calibration.gemm(gpu, dtype, sort)
    whole = with_whole_channels(problems, taps, constants.channel_bytes / dtype.bytes)
    may_split = divides_depth(gpu, unit, sort)
    among = undivided(STRIDED_GRADIENT_TILES) if sort == STRIDED_GRADIENT else None
    return choose(whole, gpu, dtype, unit, constants, l2_state, may_split=may_split, among=among)


def with_whole_channels(problems: Problems, taps: Floats, channels: float) -> Problems:
    """``problems`` whose K holds whole blocks of ``channels`` channels for each of its ``taps``."""
    if channels <= 1.0:
        return problems
    return replace(problems, k=taps * np.ceil(problems.k / taps / channels) * channels)


def _faster(choice: Choice, able: NDArray[np.intp], other: Choice) -> Choice:
    """``choice`` with the ``other`` kernel for those products ``able`` to run it that it is faster for."""
    wins = np.flatnonzero(other.estimate.time_us < choice.estimate.time_us[able])
    index = able[wins]
    names = choice.transformed.copy()
    names[index] = other.transformed[wins]
    best = _with_rows(choice.estimate, index, other.estimate, wins)
    return Choice(best, _with_rows(choice.tiles, index, other.tiles, wins), names)


def _with_rows(into: _Columns, index: NDArray[np.intp], values: _Columns, which: NDArray[np.intp]) -> _Columns:
    """``into`` with the rows ``index`` taken from the rows ``which`` of ``values``."""
    columns = {name: getattr(into, name).copy() for name in into.__slots__}
    for name, column in columns.items():
        column[index] = getattr(values, name)[which]
    return replace(into, **columns)
