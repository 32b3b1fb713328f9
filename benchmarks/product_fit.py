"""The constants of matrix products: those of plain units, and tensor cores'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from error_bars import bars
from estimates import answered, chosen, given, sample, typical
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

#: GPUs whose rows tell no rate: at 70 W a T4's clock falls by half in the course of a row, by how long it takes.
THROTTLED = ("t4",)

#: Longest sums that plain units' constants are fitted on. Beyond it a P100 loses up to two thirds of its rate.
LONGEST_SUM = 6000

#: Rows of each table that the fit of plain units' products looks at.
PLAIN_SAMPLE = 800

#: Where the fit of plain units' products starts, and the most that is possible.
PLAIN_START = {
    "half_warps": 0.05, "edge_cost": 11.0, "round_latencies": 5.0, "slice_ns": 490.0, "dram_share": 0.9,
    "l2_share": 0.75, "cache_share": 0.9, "split_launches": 3.3, "output_cycles": 0.03,
}  # fmt: skip

#: Least and most that is possible. One GPU's products may say little of the cache; RRZE's gpu-benches read half of
#: every GPU's at full speed, and more (on an A100 half of each half).
LIMITS = {"dram_share": (0.0, 1.0), "l2_share": (0.0, 1.0), "cache_share": (0.5, 1.0)}

#: Share of a table's batches from which on a tile counts as the library's.
LEAST_SHARE = 0.01


def with_plain_products(calibration: Calibration) -> Calibration:
    """``calibration`` with ``plain_matmul``, fitted on half of the shapes."""
    batches = [case.where(~case.held_out) for case in neusight_matmuls("bmm")]
    given_tiles = [case.where(~case.held_out) for case in neusight_matmuls("linear")] + batches
    own_choice = [case.where(~case.held_out) for case in deepbench_matmuls()]
    fitted = fit_plain_products([c for c in given_tiles if c.gpu.id not in THROTTLED], own_choice)
    slow = [case for case in given_tiles if case.gpu.id in THROTTLED]
    efficiency = {**fitted.efficiency, **{family_of(c.gpu): throttled_efficiency(slow, fitted) for c in slow}}
    constants = replace(fitted, efficiency=efficiency, batched_tiles={family_of(c.gpu): seen_tiles(c) for c in batches})
    return replace(calibration, plain_matmul=constants)


def fit_plain_products(given_tiles: list[Cases], own_choice: list[Cases] = ()) -> GemmConstants:
    """Shared constants, one efficiency per family, and a constant per source and GPU, on the mean capped log error.

    ``given_tiles`` tell their kernels' tiles; those of ``own_choice`` are the model's.
    """
    told = [sample(c.where(c.work.k <= LONGEST_SUM), PLAIN_SAMPLE) for c in given_tiles]
    cases = [*told, *own_choice]
    families = sorted({family_of(case.gpu) for case in cases})

    def constants(x: np.ndarray) -> GemmConstants:
        shared = within(PLAIN_START, x)
        efficiency = dict(zip(families, np.exp(x[len(PLAIN_START) :]).tolist(), strict=False))
        return typical(GemmConstants(efficiency, 1.0, **shared, wide_handicap=1.0, draw_share=DRAW_SHARE))

    def objective(x: np.ndarray) -> float:
        trial, extra_us = constants(x), np.exp(x[-len(cases) :])
        errors = [
            off((given(c, trial) if c.tiles is not None else chosen(c, trial)[0]).time_us + extra, c.measured_us).mean()
            for c, extra in zip(cases, extra_us, strict=True)
        ]
        return float(np.mean(errors))

    start = [*PLAIN_START.values()] + [0.95] * len(families) + [30.0] * len(told) + [1.0] * len(own_choice)
    return constants(settle(objective, np.log(start), (0.4, 0.25, 0.15, 0.1), evaluations=400))


def within(names: Iterable[str], x: np.ndarray) -> dict[str, float]:
    """The values whose logarithms lead ``x``, by name, none beyond its limits."""
    values = dict(zip(names, np.exp(x).tolist(), strict=False))
    return values | {name: min(max(values[name], least), most) for name, (least, most) in LIMITS.items()}


def throttled_efficiency(cases: list[Cases], constants: GemmConstants) -> float:
    """The efficiency with which the typical long row comes out right."""
    ratios = []
    for case in cases:
        best = given(case, constants)
        busy = best.compute_us > 0.5 * case.measured_us
        ratios.append(best.compute_us[busy] / case.measured_us[busy])
    return constants.efficiency["typical"] * float(np.median(np.concatenate(ratios)))


def seen_tiles(case: Cases) -> list[str]:
    """Tiles of the kernels' names, m by n, without the rarest."""
    names = [f"{int(m)}x{int(n)}" for m, n in zip(case.tiles.m, case.tiles.n, strict=True)]
    return sorted(name for name, count in Counter(names).items() if count >= LEAST_SHARE * len(names))


def plain_product_bars(calibration: Calibration, without: int | None = None) -> list[dict[str, object]]:
    cases = [*neusight_matmuls("linear"), *neusight_matmuls("bmm"), *deepbench_matmuls()]
    return bars(cases, lambda case: answered(case, calibration), without)


def with_tensor_products(calibration: Calibration) -> Calibration:
    """``calibration`` with ``tensor`` fitted on bf16 products."""
    cases = [sample(case.where(~case.held_out)) for case in aiconfigurator_matmuls()]
    return replace(calibration, tensor=fit_tensor(cases))


def tensor_product_bars(calibration: Calibration, without: int | None = None) -> list[dict[str, object]]:
    """Those of products, and of convolutions on the first tensor cores."""
    cases = [*aiconfigurator_matmuls(), *benanza_convolutions("IMPLICIT_PRECOMP_GEMM", DataType.FP16)]
    return bars(cases, lambda case: answered(case, calibration), without)


#: Of what an SM's L1 takes, the most that it draws from the last-level cache: all. No table's mean error follows it.
DRAW_SHARE = 1.0

#: Where the fit of tensor cores' products starts: the constants that all families share.
TENSOR_START = {
    "launch_factor": 0.9, "edge_cost": 30.0, "round_latencies": 2.0, "slice_ns": 120.0, "dram_share": 0.82,
    "l2_share": 0.67, "cache_share": 0.57, "split_launches": 1.1, "output_cycles": 0.09,
}  # fmt: skip
START_EFFICIENCY = 0.88


def fit_tensor(cases: list[Cases]) -> GemmConstants:
    """On the mean capped log error, every source GPU counting alike."""

    def constants(x: np.ndarray) -> GemmConstants:
        efficiency = {family_of(c.gpu): float(np.exp(v)) for c, v in zip(cases, x, strict=False)}
        shared = within(TENSOR_START, x[len(cases) :])
        return GemmConstants(efficiency, **shared, half_warps=0.0, wide_handicap=1.0, draw_share=DRAW_SHARE)

    def objective(x: np.ndarray) -> float:
        trial = constants(x)
        return float(np.mean([off(chosen(case, trial)[0].time_us, case.measured_us).mean() for case in cases]))

    start = np.log([START_EFFICIENCY] * len(cases) + [*TENSOR_START.values()])
    return typical(constants(settle(objective, start, (0.4, 0.25, 0.15, 0.1), evaluations=300)))
