"""The constants of memory-bound kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import least_squares

from error_bars import bars, stream_answer
from estimates import streamed
from headroom.predict.calibration import Calibration
from headroom.predict.constants import KernelCost, StreamConstants, family_of
from tables import Cases, benanza_streams

STREAM_KINDS = ("activation", "normalization", "elementwise", "pooling", "softmax", "matvec")


def with_streams(calibration: Calibration) -> Calibration:
    """``calibration`` with ``stream`` fitted."""
    return replace(calibration, stream=fit_stream([case.where(~case.held_out) for case in benanza_streams()]))


def kernel_bars(calibration: Calibration, without: int | None = None) -> list[dict[str, object]]:
    return bars(benanza_streams(), lambda case: stream_answer(case, calibration.stream), without)


def fit_stream(cases: list[Cases]) -> StreamConstants:
    """Shared shares and one factor per kind; each source GPU has its own constant besides."""
    families = sorted({family_of(case.gpu) for case in cases})

    def constants(x: np.ndarray) -> StreamConstants:
        ramp, dram, l2, cache = np.exp(x[:4])
        factors = np.exp(np.abs(x[4 : 4 + len(STREAM_KINDS)]))
        kernels = {kind: KernelCost(float(factor)) for kind, factor in zip(STREAM_KINDS, factors, strict=True)}
        return StreamConstants(1.0, ramp, dram, l2, cache, kernels, families)

    def residuals(x: np.ndarray) -> np.ndarray:
        extra = x[-len(cases) :]
        return np.concatenate(
            [
                np.log(np.maximum(streamed(c, constants(x)) + e, 0.1) / c.measured_us)
                for c, e in zip(cases, extra, strict=True)
            ]
        )

    start = np.concatenate([np.log([0.5, 0.9, 0.8, 1.0]), [0.05] * len(STREAM_KINDS), [3.0] * len(cases)])
    return constants(least_squares(residuals, start, loss="soft_l1", f_scale=0.1).x)
