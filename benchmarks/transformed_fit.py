"""Constants and error bars of Winograd's and the FFT's kernels, from the rows whose algorithm is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import least_squares

from error_bars import Groups, Residuals, add_rows, fold, rows_of
from headroom.predict.calibration import Calibration
from headroom.predict.constants import TransformConstants, family_of
from headroom.predict.error_groups import REGIMES, regimes_of, transformed_kind
from headroom.predict.gemm_problems import Floats
from headroom.predict.gemm_time import Estimate
from headroom.predict.transformed import ALGORITHMS, Machinery
from transformed_tables import Runs, benanza_runs, neusight_runs

#: Rows of one source, GPU and algorithm that a fit looks at; more weigh no more than ``WEIGHED`` do.
SAMPLE, WEIGHED = 300, 60

#: Throttles by a factor that differs from algorithm to algorithm: good for ranking only.
THROTTLED = ("Benanza", "t4")

#: Fitted rows of a source below which nothing tells what it adds to each.
LEAST_FITTED = 5

_SHARED = 4


def with_transforms(calibration: Calibration) -> Calibration:
    """``calibration`` with ``transforms`` fitted: shared constants, one efficiency of the fused kernel per family.

    Every source GPU has a constant and a drift of its own, which are thrown away, as with im2col convolutions.
    """
    halves = [runs.where(~runs.held_out) for runs in all_runs() if (runs.source, runs.gpu.id) != THROTTLED]
    halves = [runs.where(np.arange(len(runs)) % max(1, len(runs) // SAMPLE) == 0) for runs in halves if len(runs)]
    families = sorted({family_of(runs.gpu) for runs in halves})
    sources = sorted({(runs.source, runs.gpu.id) for runs in halves})

    def constants(x: np.ndarray) -> TransformConstants:
        efficiency = dict(zip(families, np.exp(x[_SHARED:]).tolist(), strict=False))
        typical = float(np.median(list(efficiency.values())))
        return TransformConstants({**efficiency, "typical": typical}, *np.exp(x[:_SHARED]).tolist())

    def residuals(x: np.ndarray) -> np.ndarray:
        trial = replace(calibration, transforms=constants(x))
        extra = dict(zip(sources, 100.0 * x[_SHARED + len(families) :].reshape(-1, 2), strict=True))
        parts = []
        for runs in halves:
            start, slope = extra[runs.source, runs.gpu.id]
            predicted = estimated(runs, trial).time_us + start + slope * runs.order
            weight = min(1.0, np.sqrt(WEIGHED / len(runs)))
            parts.append(weight * np.log(np.maximum(predicted, 1.0) / runs.measured_us))
        return np.concatenate(parts)

    start = np.log([15.0, 1.4, 5.0, 300.0] + [0.8] * len(families))
    first = np.concatenate([start, [0.3, 3.0] * len(sources)])
    found = least_squares(residuals, first, loss="soft_l1", f_scale=0.1, diff_step=1e-3)
    return replace(calibration, transforms=constants(found.x))


def estimated(runs: Runs, calibration: Calibration) -> Estimate:
    """What the package's model of the row's own algorithm says."""
    machinery = Machinery(runs.gpu, calibration.plain, calibration.streams(runs.gpu), calibration.transforms, "warm")
    return ALGORITHMS[runs.algorithm](runs.convs, machinery)


def residuals_of(runs: Runs, predicted_us: Floats) -> Residuals | None:
    """The rows' distances from predictions of them all; None where one half has too few rows to tell what the source
    adds.
    """
    held = runs.held_out
    if not held.any() or (~held).sum() < LEAST_FITTED:
        return None
    return Residuals.of(predicted_us, runs.measured_us, runs.order, held)


def all_runs() -> list[Runs]:
    return [runs for runs in (*neusight_runs(), *benanza_runs()) if runs.algorithm in ALGORITHMS]


def transform_bars(calibration: Calibration, without: int | None = None) -> list[dict[str, object]]:
    """Per family and regime, the half-width that holds nine of ten held-out rows, as :func:`error_bars.bars` counts
    them."""
    groups: Groups = {}
    for runs in all_runs():
        answer = estimated(runs, calibration)
        found = residuals_of(runs, answer.time_us)
        if found is None:
            continue
        counted = found.counted if without is None else found.counted & (fold(runs.labels) != without)
        regimes = np.array(REGIMES)[regimes_of(answer.time_us, answer.is_short)]
        add_rows(groups, (transformed_kind(runs.algorithm), "plain", family_of(runs.gpu)), regimes, counted, found)
    return rows_of(groups)
