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
from headroom.predict.gemm_time import Estimate, Floats, Problems, Tiles
from headroom.predict.tiles import choose, divides_depth

_Columns = TypeVar("_Columns", Estimate, Tiles)


@dataclass(frozen=True, slots=True)
class Tiled:
    """Products of one sort: ``taps`` of each forward convolution's filter (1 for whatever has none), and whether it
    ``can_transform``: Winograd's and the FFT's kernels take unit steps and filters of three taps a side or more.
    """

    problems: Problems
    taps: Floats
    can_transform: NDArray[np.bool_]
    sort: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Arrays of shape (P,); ``transforms`` marks the products that a transformed kernel runs fastest."""

    estimate: Estimate
    tiles: Tiles
    transforms: NDArray[np.bool_]


def fastest(tiled: Tiled, gpu: GpuSpec, dtype: DataType, calibration: Calibration, l2_state: str) -> Choice:
    """Every product with its fastest tile, direct or, where the calibration knows such kernels, transformed."""
    unit, sort = unit_of(gpu, dtype), tiled.sort
    may_split = divides_depth(gpu, unit, sort)
    constants = calibration.gemm(gpu, dtype, sort)
    whole = with_whole_channels(tiled.problems, tiled.taps, constants.channel_bytes / dtype.bytes)
    best, tiles = choose(whole, gpu, dtype, unit, constants, l2_state, may_split=may_split)
    transformed = calibration.transformed(gpu, dtype) if sort == "forward" else None
    able = np.flatnonzero(tiled.can_transform)
    transforms = np.zeros(len(tiled.problems), dtype=bool)
    if transformed is None or not len(able):
        return Choice(best, tiles, transforms)
    part = tiled.problems.rows(able)
    other, others = choose(part, gpu, dtype, unit, transformed, l2_state, may_split=may_split)
    wins = other.time_us < best.time_us[able]
    transforms[able[wins]] = True
    return Choice(_put(best, able[wins], other, wins), _put(tiles, able[wins], others, wins), transforms)


def with_whole_channels(problems: Problems, taps: Floats, channels: float) -> Problems:
    """``problems`` whose K holds whole blocks of ``channels`` channels for each of its ``taps``."""
    if channels <= 1.0:
        return problems
    return replace(problems, k=taps * np.ceil(problems.k / taps / channels) * channels)


def _put(into: _Columns, index: NDArray[np.intp], values: _Columns, which: NDArray[np.bool_]) -> _Columns:
    """``into`` with the rows ``index`` taken from ``values[which]``."""
    columns = {}
    for name in into.__slots__:
        columns[name] = getattr(into, name).copy()
        columns[name][index] = getattr(values, name)[which]
    return replace(into, **columns)
