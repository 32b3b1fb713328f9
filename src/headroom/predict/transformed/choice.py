"""Which transformed algorithm a convolution takes, and what it then costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from headroom.predict.delta import ConvBatch
from headroom.predict.gemm_time import Estimate
from headroom.predict.transformed import fft, winograd
from headroom.predict.transformed.parts import Machinery

#: The algorithms by the names that cuDNN gives them; the last has none of its own.
ALGORITHMS: Mapping[str, Callable[[ConvBatch, Machinery], Estimate]] = MappingProxyType(
    {
        "WINOGRAD": winograd.fused,
        "WINOGRAD_NONFUSED": winograd.nonfused,
        "FFT": fft.whole,
        "FFT_TILING": fft.tiled,
        "FFT_TILING_AT_ONCE": fft.tiled_at_once,
    }
)

#: How they are called where people read them.
_TITLES = {
    "WINOGRAD": "Winograd, fused, F(2x2, 3x3)",
    "WINOGRAD_NONFUSED": "Winograd through memory, F(4x4, 3x3) or F(4x4, 5x5)",
    "FFT": "FFT of whole images",
    "FFT_TILING": "FFT in tiles of 32x32",
    "FFT_TILING_AT_ONCE": "FFT in tiles",
}


def title(name: str) -> str:
    """An algorithm as people call it."""
    return _TITLES[name]


@dataclass(frozen=True, slots=True)
class Transformed:
    """The fastest transformed algorithm of each convolution: arrays of shape (P,).

    ``names`` are keys of :data:`ALGORITHMS`, empty (and the time infinite) where none can run the convolution.
    """

    estimate: Estimate
    names: NDArray[np.str_]


def can_run(name: str, convs: ConvBatch) -> NDArray[np.bool_]:
    """Whether the library runs these convolutions so: unit steps, one group, and a square filter of a
    size that the algorithm has."""
    able: NDArray[np.bool_] = convs.r == convs.s
    for step in (convs.stride_h, convs.stride_w, convs.dilation_h, convs.dilation_w, convs.groups):
        able &= step == 1
    match name:
        case "WINOGRAD":
            able &= convs.r == 3
        case "WINOGRAD_NONFUSED":
            able &= (convs.r == 3) | (convs.r == 5)
        case _:
            able &= (convs.r >= 3) & (convs.r < fft.TILE_SIDE)
    return able


def fastest_transformed(convs: ConvBatch, machinery: Machinery) -> Transformed:
    """The fastest algorithm that can run each convolution; the GPU's numbers may be columns of shape (P, 1)."""
    columns = convs.column()
    known = machinery.transforms.algorithms
    every = {name: _rows(ALGORITHMS[name](columns, machinery), len(convs)) for name in known}
    times = np.stack([np.where(can_run(name, convs), found.time_us, np.inf) for name, found in every.items()])
    choice = np.argmin(times, axis=0)
    best = Estimate(
        *(
            np.take_along_axis(np.stack([getattr(found, field) for found in every.values()]), choice[None], 0)[0]
            for field in Estimate.__slots__
        )
    )
    time = np.take_along_axis(times, choice[None], 0)[0]
    names = np.where(np.isfinite(time), np.array(list(every))[choice], "")
    return Transformed(replace(best, time_us=time), names)


def _rows(found: Estimate, count: int) -> Estimate:
    """An estimate of shape (P, 1), or less, as one of shape (P,)."""
    return Estimate(*(np.broadcast_to(getattr(found, name), (count, 1)).ravel() for name in Estimate.__slots__))
