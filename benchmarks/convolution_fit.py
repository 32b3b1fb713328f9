"""The plain units' constants for convolutions, fitted with the kernels' own tiles where a table tells them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import least_squares

from error_bars import bars, gemm_bars
from estimates import chosen, given, typical
from headroom.predict.calibration import Calibration
from headroom.predict.constants import GemmConstants, family_of
from statistics_of import scale_and_constant
from tables import Cases, benanza_convolutions, deepbench_convolutions, neusight_convolutions


def with_convolutions(calibration: Calibration) -> Calibration:
    """``calibration`` with ``plain`` fitted."""
    half = [case.where(~case.held_out) for case in neusight_convolutions()]
    # Both of Benanza's im2col algorithms wait for their loads, so both tell how long; only the second gives error bars.
    waiting = [*_small_batches(), *benanza_convolutions("IMPLICIT_GEMM")]
    small = [case.where(~case.held_out) for case in waiting]
    return replace(calibration, plain=fit_slice([*half, *small], fit_handicap(half, fit_plain(half))))


def convolution_bars(calibration: Calibration) -> list[dict[str, object]]:
    """Their error bars."""
    cases = [*neusight_convolutions(), *_small_batches()]
    return bars(cases, lambda case: gemm_bars(case, calibration.plain))


def _small_batches() -> list[Cases]:
    return [*deepbench_convolutions(), *benanza_convolutions("IMPLICIT_PRECOMP_GEMM")]


def fit_plain(cases: list[Cases]) -> GemmConstants:
    """Shared constants, one efficiency per GPU's family, and per source GPU a constant and a drift.

    The drift is real: in this table the same small kernels take longer at the end of a GPU's run than at its start,
    on every GPU (``docs/accuracy.md`` says how much). Fitted without it, the constants would explain the drift.
    """

    def constants(x: np.ndarray) -> GemmConstants:
        half, edge, rounds, dram = np.exp(x[:4])
        efficiency = {family_of(c.gpu): float(np.exp(v)) for c, v in zip(cases, x[4:], strict=False)}
        return GemmConstants(efficiency, 1.0, half, edge, rounds, 0.0, dram, 0.8, 1.0, 1.0)

    def residuals(x: np.ndarray) -> np.ndarray:
        drift = 100.0 * x[4 + len(cases) :].reshape(-1, 2)
        parts = []
        for case, (start, slope) in zip(cases, drift, strict=True):
            predicted = given(case, constants(x)).time_us + start + slope * case.order
            parts.append(np.log(np.maximum(predicted, 1.0) / case.measured_us))
        return np.concatenate(parts)

    start = np.log([0.8, 7.0, 14.0, 0.7] + [0.9] * len(cases))
    found = least_squares(residuals, np.concatenate([start, [0.5, 4.0] * len(cases)]), loss="soft_l1", f_scale=0.05)
    return typical(constants(found.x))


def fit_handicap(cases: list[Cases], constants: GemmConstants) -> GemmConstants:
    """How much faster a 128-wide tile must look: the value that finds the most of the kernels' own tiles."""

    def agreement(value: float) -> float:
        trial = replace(constants, wide_handicap=value)
        return float(np.mean([np.mean(chosen(case, trial)[1].n == case.tiles.n) for case in cases if case.tiles]))

    return replace(constants, wide_handicap=max(np.round(np.arange(1.0, 1.2, 0.01), 2).tolist(), key=agreement))


def fit_slice(cases: list[Cases], constants: GemmConstants) -> GemmConstants:
    """The shortest time of 64 bytes of K: what a layer with too few CTAs to hide its loads waits (DeLTA, equation 17).

    NeuSight's layers all fill the GPU; only tables with small batches tell. The value with the least mean error over
    the sources, each with its scale and constant.
    """

    def error(slice_ns: float) -> float:
        trial = replace(constants, slice_ns=slice_ns)
        return float(np.mean([fitted_error(case, trial) for case in cases]))

    return replace(constants, slice_ns=min(np.arange(0.0, 2600.0, 100.0).tolist(), key=error))


def fitted_error(case: Cases, constants: GemmConstants) -> float:
    """Mean absolute relative error with one scale and one constant."""
    predicted_us = (given(case, constants) if case.tiles is not None else chosen(case, constants)[0]).time_us
    fit = scale_and_constant(predicted_us, case.measured_us)
    return float(np.mean(np.abs(fit.apply(predicted_us) / case.measured_us - 1.0)))
