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
from headroom.predict.tiles import choose, divides_depth, gathering_candidates

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
    """Every product with its fastest tile: of the usual kernels and, for forward convolutions, of transformed and
    gathering ones where the calibration knows them.
    """
    unit, sort = unit_of(gpu, dtype), tiled.sort
    may_split = divides_depth(gpu, unit, sort)
    constants = calibration.gemm(gpu, dtype, sort)
    whole = with_whole_channels(tiled.problems, tiled.taps, constants.channel_bytes / dtype.bytes)
    best, tiles = choose(whole, gpu, dtype, unit, constants, l2_state, may_split=may_split)
    choice = Choice(best, tiles, np.zeros(len(tiled.problems), dtype=bool))
    if sort != "forward":
        return choice
    transformed, gathering = calibration.transformed(gpu, dtype), calibration.gathering(gpu, dtype)
    able = np.flatnonzero(tiled.can_transform)
    if transformed is not None and len(able):
        part = tiled.problems.rows(able)
        other = choose(part, gpu, dtype, unit, transformed, l2_state, may_split=may_split)
        choice = _faster(choice, able, *other, transforms=True)
    if gathering is not None:
        among = gathering_candidates()
        other = choose(tiled.problems, gpu, dtype, unit, gathering, l2_state, may_split=False, among=among)
        choice = _faster(choice, np.arange(len(tiled.problems)), *other, transforms=False)
    return choice


def with_whole_channels(problems: Problems, taps: Floats, channels: float) -> Problems:
    """``problems`` whose K holds whole blocks of ``channels`` channels for each of its ``taps``."""
    if channels <= 1.0:
        return problems
    return replace(problems, k=taps * np.ceil(problems.k / taps / channels) * channels)


def _faster(choice: Choice, able: NDArray[np.intp], other: Estimate, tiles: Tiles, *, transforms: bool) -> Choice:
    """``choice`` with the ``other`` kernel for those products ``able`` to run it that it is faster for."""
    wins = other.time_us < choice.estimate.time_us[able]
    index = able[wins]
    marks = choice.transforms.copy()
    marks[index] = transforms
    return Choice(_put(choice.estimate, index, other, wins), _put(choice.tiles, index, tiles, wins), marks)


def _put(into: _Columns, index: NDArray[np.intp], values: _Columns, which: NDArray[np.bool_]) -> _Columns:
    """``into`` with the rows ``index`` taken from ``values[which]``."""
    columns = {}
    for name in into.__slots__:
        columns[name] = getattr(into, name).copy()
        columns[name][index] = getattr(values, name)[which]
    return replace(into, **columns)
