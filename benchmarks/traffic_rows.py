"""Counted rows beside the theory's bytes, and which of them its learned constants were fitted on."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from counted_layers import Point
from headroom.gpu.sheets import load_gpu
from headroom.predict.counted_bytes import PHYSICS
from headroom.predict.counters import LevelBytes, counters_of, predict_counters
from headroom.predict.fourier_bytes import PHYSICS_FOURIER
from known_kernels import kernel_of

GPU = load_gpu("h200")

LEVELS = ("l1", "l2", "dram")

#: DRAM traffic is judged where operands and result together are at least this many times the L2.
LEAST_FOOTPRINT = 2.0

#: Where L1 counts fewer bytes than this share of the L2's, tensor copies passed it by: nothing to be compared with.
LEAST_L1 = 0.5

#: Convolutions of this network, every second product by its shape, and these sweeps were fitted on; the others not.
FITTED_NETWORK, FITTED_SWEEPS = "GoogLeNet", ("feature size", "input channels")


@dataclass(frozen=True)
class Judged:
    """A counted row, with the theory's bytes over the hardware's at the levels where they can be compared: of the
    kernel that ran, with and without what is learned (empty where its name is not known), and of the theory's own.
    """

    row: Mapping[str, Any]
    fitted: bool
    known: Mapping[str, float]
    physics: Mapping[str, float]
    chosen: Mapping[str, float]

    @property
    def group(self) -> str:
        group = str(self.row["group"])
        return group if group in ("convolution", "matmul") else "sweep"


def is_fitted(point: Point) -> bool:
    """Whether the learned constants may look at the row."""
    if point.group == "convolution":
        return point.key.startswith(FITTED_NETWORK)
    if point.group == "matmul":
        return zlib.crc32(point.key.split()[1].encode()) % 2 == 0
    return point.group in FITTED_SWEEPS


def judged_levels(row: Mapping[str, Any], point: Point) -> tuple[str, ...]:
    """The levels at which the row is compared."""
    large = float(point.layer.bytes(point.dtype)) >= LEAST_FOOTPRINT * GPU.l2.size_bytes
    return tuple(level for level, counts in zip(LEVELS, (sees_l1(row), True, large), strict=True) if counts)


def sees_l1(row: Mapping[str, Any]) -> bool:
    """Whether L1's counter saw the loads."""
    return bool(row["l1_bytes"] >= LEAST_L1 * row["l2_bytes"])


def judged(rows: Sequence[dict[str, Any]], points: Sequence[Point]) -> list[Judged]:
    """Every counted row that one of ``points`` stands for."""
    by_key = {point.key: point for point in points}
    pairs = [(row, by_key[row["key"]]) for row in rows if row["key"] in by_key and "l1_bytes" in row]
    chosen = own_choice([point for _, point in pairs])
    out = []
    for row, point in pairs:
        levels = judged_levels(row, point)
        kernel, known, physics = kernel_of(row, point.layer, GPU.sms), {}, {}
        if kernel is not None:
            asked = (point.layer, kernel, GPU, point.dtype)
            known = over(counters_of(*asked), row, levels)
            physics = over(counters_of(*asked, PHYSICS, PHYSICS_FOURIER), row, levels)
        out.append(Judged(row, is_fitted(point), known, physics, over(chosen[point.key], row, levels)))
    return out


def own_choice(points: Sequence[Point]) -> dict[str, LevelBytes]:
    """The theory's bytes for each point, from empty caches, by its key."""
    found: dict[str, LevelBytes] = {}
    for dtype in dict.fromkeys(point.dtype for point in points):
        mine = [point for point in points if point.dtype is dtype]
        answers = predict_counters([point.layer for point in mine], GPU, dtype)
        found.update({point.key: answer for point, answer in zip(mine, answers, strict=True)})
    return found


def over(predicted: LevelBytes, row: Mapping[str, Any], levels: Sequence[str]) -> dict[str, float]:
    """Predicted over counted bytes."""
    return {level: getattr(predicted, level) / row[f"{level}_bytes"] for level in levels}


def gmae(ratios: Sequence[float]) -> float:
    """Geometric mean absolute error in percent: the mean factor by which predictions are off, either way."""
    return 100.0 * (math.exp(float(np.mean(np.abs(np.log(ratios))))) - 1.0)


def ratios_of(rows: Sequence[Judged], level: str, of: Callable[[Judged], Mapping[str, float]]) -> list[float]:
    """What is known of the rows at one level."""
    return [of(row)[level] for row in rows if level in of(row)]
