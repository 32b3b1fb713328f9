"""The constants of matrix products: those of plain units, and tensor cores'."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from error_bars import bars, gemm_bars
from estimates import chosen, sample, typical
from h200_tiled import off, settle
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration
from headroom.predict.constants import GemmConstants, family_of
from tables import (
    Cases,
    aiconfigurator_matmuls,
    benanza_convolutions,
    deepbench_matmuls,
    neusight_matmuls,
)


def with_plain_products(calibration: Calibration) -> Calibration:
    """``calibration`` with ``plain_matmul``: what convolutions have, whose kernels are the same products."""
    return replace(calibration, plain_matmul=calibration.plain)


def plain_product_bars(calibration: Calibration) -> list[dict[str, object]]:
    products = neusight_matmuls("linear") + neusight_matmuls("bmm")
    cases = [*(sample(case) for case in products), *deepbench_matmuls()]
    return bars(cases, lambda case: gemm_bars(case, calibration.plain_matmul))


def with_tensor_products(calibration: Calibration) -> Calibration:
    """``calibration`` with ``tensor`` fitted on bf16 products."""
    cases = [sample(case.where(~case.held_out)) for case in aiconfigurator_matmuls()]
    return replace(calibration, tensor=fit_tensor(cases))


def tensor_product_bars(calibration: Calibration) -> list[dict[str, object]]:
    """Those of products, and of convolutions on the first tensor cores."""
    predict = lambda case: gemm_bars(case, calibration.tensor)  # noqa: E731
    products = bars([sample(case, 8000) for case in aiconfigurator_matmuls()], predict)
    return products + bars(benanza_convolutions("IMPLICIT_PRECOMP_GEMM", DataType.FP16), predict)


def fit_tensor(cases: list[Cases]) -> GemmConstants:
    """On the mean capped log error, every source GPU counting alike."""

    def constants(x: np.ndarray) -> GemmConstants:
        launch, half, edge, rounds, slices, dram, l2, cache = np.exp(x[:8])
        efficiency = {family_of(c.gpu): float(np.exp(v)) for c, v in zip(cases, x[8:], strict=True)}
        return GemmConstants(efficiency, launch, half, edge, rounds, slices, dram, l2, cache, 1.0)

    def objective(x: np.ndarray) -> float:
        trial = constants(x)
        return float(np.mean([off(chosen(case, trial)[0].time_us, case.measured_us).mean() for case in cases]))

    start = np.log([1.0, 0.1, 60.0, 1.5, 5.0, 0.9, 0.7, 0.5] + [0.85] * len(cases))
    return typical(constants(settle(objective, start, (0.4, 0.2, 0.2, 0.1), evaluations=400)))
