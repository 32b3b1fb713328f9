"""What Fourier kernels cost on an H200, fitted on their own rows of ``results/h200_kernels.csv.gz``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import least_squares

from h200_kernels import kernels
from h200_rows import Timed
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration
from headroom.predict.constants import TransformConstants
from headroom.predict.kinds.layer_products import tiled_of
from headroom.predict.transformed import ALGORITHMS, Machinery

#: The transformed kernels that the library has for it.
ALGORITHM = "FFT_TILING_AT_ONCE"

#: Where the fit starts: what a transform takes in units of a perfect copy of its bytes, and besides, in microseconds.
START = (1.5, 1.0)

#: With more launches than these the images are worked on in parts, for want of workspace, or turned around first.
MOST_LAUNCHES = 6


def fit_fourier(rows: Sequence[Timed], gpu: GpuSpec, calibration: Calibration) -> TransformConstants:
    """By least squares of the logarithms, on warm rows that ran in one go; all but the transforms is as known."""
    times = fourier_times()
    timed = [row for row in rows if row.l2 == "warm" and row.dtype is DataType.FP32 and row.digest in times]
    tiled = tiled_of([row.layer for row in timed], DataType.FP32, "forward")
    able = np.flatnonzero(tiled.can_transform)
    convs = tiled.convs.take(able).column()  # type: ignore[union-attr]
    measured = np.array([times[timed[i].digest] for i in able])
    products, streams = calibration.gemm(gpu, DataType.FP32, "forward"), calibration.streams(gpu)

    def constants(x: np.ndarray) -> TransformConstants:
        factor, start_us = np.exp(x).tolist()
        return replace(calibration.transforms, data_factor=factor, start_us=start_us, algorithms=(ALGORITHM,))

    def residuals(x: np.ndarray) -> np.ndarray:
        machinery = Machinery(gpu, products, streams, constants(x), "warm")
        return np.log(ALGORITHMS[ALGORITHM](convs, machinery).time_us[:, 0] / measured)

    return constants(least_squares(residuals, np.log(START), loss="soft_l1", f_scale=0.1, diff_step=1e-3).x)


def fourier_times() -> dict[str, float]:
    """Of each layer that such kernels ran in one go, their shortest time."""
    times: dict[str, float] = {}
    for kernel in kernels():
        if kernel.family == "Fourier" and kernel.dtype == "fp32" and kernel.launches <= MOST_LAUNCHES:
            times[kernel.digest] = min(kernel.time_us, times.get(kernel.digest, kernel.time_us))
    return times
