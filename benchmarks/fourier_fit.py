"""What Fourier kernels cost on an H200, fitted on their own rows of ``results/h200_kernels.csv.gz``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import least_squares

from h200_kernels import kernels
from h200_rows import Timed
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.fourier import FourierConstants, estimate_fourier
from headroom.predict.kinds.layer_products import tiled_of

#: Where the fit starts: launch, copies, dram, efficiency, lone CTA.
START = (1.3, 0.3, 0.7, 0.6, 1.0)

#: With more launches than these the images are worked on in parts, for want of workspace, or turned around first.
MOST_LAUNCHES = 6


def fit_fourier(rows: Sequence[Timed], gpu: GpuSpec) -> FourierConstants:
    """By least squares of the logarithms, on warm rows that ran in one go."""
    times = fourier_times()
    timed = [row for row in rows if row.l2 == "warm" and row.dtype is DataType.FP32 and row.digest in times]
    tiled = tiled_of([row.layer for row in timed], DataType.FP32, "forward")
    able = np.flatnonzero(tiled.can_transform)
    convs = tiled.convs.take(able)  # type: ignore[union-attr]
    measured = np.array([times[timed[i].digest] for i in able])

    def residuals(x: np.ndarray) -> np.ndarray:
        constants = FourierConstants(*np.exp(x).tolist())
        return np.log(estimate_fourier(convs, gpu, DataType.FP32, constants, "warm").time_us / measured)

    found = least_squares(residuals, np.log(START), loss="soft_l1", f_scale=0.1)
    return FourierConstants(*np.exp(found.x).tolist())


def fourier_times() -> dict[str, float]:
    """Of each layer that such kernels ran in one go, their shortest time."""
    times: dict[str, float] = {}
    for kernel in kernels():
        if kernel.family == "Fourier" and kernel.dtype == "fp32" and kernel.launches <= MOST_LAUNCHES:
            times[kernel.digest] = min(kernel.time_us, times.get(kernel.digest, kernel.time_us))
    return times
