"""Fit the theory's shared constants and write ``src/headroom/predict/calibration.json``.

    python benchmarks/calibrate.py

Constants are fitted on one half of the shapes of each table (chosen by a hash of the shape) and the error bars
are taken from the other half. What a source adds to every row (launch gaps, a clock, a drift over its run) is
fitted along with them and then thrown away: it belongs to the source, not to the GPU.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from h200_fit import hopper_bars, with_hopper
from h200_rows import SOURCE as H200_SOURCE
from h200_tiled import off, settle
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration, parse_calibration
from headroom.predict.constants import (
    AttentionConstants,
    GemmConstants,
    KernelCost,
    StreamConstants,
    family_of,
    unit_of,
)
from headroom.predict.gemm_time import Estimate, Tiles, estimate
from headroom.predict.memory_bound import estimate_streams
from headroom.predict.tiles import choose
from record import ROOT
from statistics_of import scale_and_constant
from tables import (
    Cases,
    aiconfigurator_matmuls,
    benanza_convolutions,
    benanza_streams,
    deepbench_convolutions,
    deepbench_matmuls,
    neusight_convolutions,
    neusight_matmuls,
)

TARGET = ROOT / "src" / "headroom" / "predict" / "calibration.json"

#: Rows of a large table that one evaluation of the objective uses.
SAMPLE = 2500

#: Rows below which a group has no bar of its own.
FEWEST = 40

#: Kinds of which no GPU's table has that many rows.
POOLED_KINDS = ("softmax", "matvec")

#: Stands in until attention is fitted, last of all.
NO_ATTENTION = AttentionConstants(*[1.0] * 8)

STREAM_KINDS = ("activation", "normalization", "elementwise", "pooling", "softmax", "matvec")


# Plain units: im2col convolutions with the kernel's own tile.


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


# Tensor cores: bf16 products with the tile that the model chooses.


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


# Memory-bound kernels.


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


# Evaluations shared by the fits and by benchmarks/accuracy.py.


def given(case: Cases, constants: GemmConstants) -> Estimate:
    """The case's products with its own tiles."""
    unit = unit_of(case.gpu, case.dtype)
    return estimate(case.work, case.tiles, case.gpu, case.dtype, unit, constants, case.l2_state)


def chosen(case: Cases, constants: GemmConstants) -> tuple[Estimate, Tiles]:
    """The case's products with the tiles that the model chooses."""
    unit = unit_of(case.gpu, case.dtype)
    return choose(case.work, case.gpu, case.dtype, unit, constants, case.l2_state, may_split=case.may_split)


def streamed(case: Cases, constants: StreamConstants) -> np.ndarray:
    """Times of a streaming case, each row with its kind's factor."""
    plain = case.gpu.peak_tflops(case.dtype, tensor=False)
    return estimate_streams(case.work, case.kinds, case.gpu, plain, constants, case.l2_state).time_us


def typical(constants: GemmConstants) -> GemmConstants:
    """Families without a table get the median efficiency of those with one."""
    values = [v for k, v in constants.efficiency.items() if k != "typical"]
    return replace(constants, efficiency={**constants.efficiency, "typical": float(np.median(values))})


def rounded(value: object) -> object:
    """A record with four significant digits per number: more would be noise."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return value if isinstance(value, (list, str)) else float(f"{float(value):.4g}")


def record_of(calibration: Calibration) -> dict[str, object]:
    """The constants as the data file holds them."""
    names = ("plain", "tensor", "stream", "attention")
    record: dict[str, object] = {name: asdict(getattr(calibration, name)) for name in names}
    for name in ("own_gemm", "own_stream"):
        record[name] = {key: asdict(value) for key, value in getattr(calibration, name).items()}
    return rounded(record)


def sample(case: Cases, rows: int = SAMPLE) -> Cases:
    """Every n-th row, so that an evaluation stays short."""
    step = max(1, len(case) // rows)
    return case.where(np.arange(len(case)) % step == 0)


# Error bars.


def bars(cases: list[Cases], predict: Callable[[Cases], tuple[np.ndarray, np.ndarray]]) -> list[dict[str, object]]:
    """Per kind, unit, family and regime: the half-width that holds four of five held-out rows.

    The source's constant comes from the other half; its scale is not used, because a user's prediction has none.
    A row counts where the source's constant is less than what is predicted on top of it: below that the
    table says nothing about the kernel. Groups with few rows are pooled over families and regimes; the pool is
    kept for the kinds that have no larger group anywhere.
    """
    rows = []
    for case in cases:
        predicted, short = predict(case)
        held = case.held_out
        fit = scale_and_constant(predicted[~held], case.measured_us[~held])
        off_pct = 100 * np.abs(case.measured_us - predicted - fit.constant_us) / predicted
        unit = unit_of(case.gpu, case.dtype) if case.kind != "stream" else "plain"
        names = np.array(case.kinds) if case.kinds else np.full(len(case), case.kind)
        usable = held & (predicted > max(0.0, fit.constant_us))
        for kind in sorted({str(name) for name in names}):
            for regime in ("short", "long"):
                group = usable & (names == kind) & (short == (regime == "short"))
                few = group.sum() < FEWEST
                rows.append(
                    (kind, unit, "several" if few else family_of(case.gpu), "any" if few else regime, off_pct[group])
                )
    merged: dict[tuple[str, ...], list[np.ndarray]] = {}
    for *key, off_pct in rows:
        merged.setdefault(tuple(key), []).append(off_pct)
    return [
        dict(
            zip(("kind", "unit", "family", "regime"), key, strict=True),
            error_pct=round(float(np.quantile(np.concatenate(offs), 0.8)), 1),
            rows=int(sum(map(len, offs))),
        )
        for key, offs in sorted(merged.items())
        if key[2] != "several" or key[0] in POOLED_KINDS
    ]


def gemm_bars(case: Cases, constants: GemmConstants) -> tuple[np.ndarray, np.ndarray]:
    """Times in microseconds, and whether launch and latency are at least half of each."""
    best = chosen(case, constants)[0]
    return best.time_us, best.is_short


def stream_bars(case: Cases, constants: StreamConstants) -> tuple[np.ndarray, np.ndarray]:
    """Times in microseconds, and whether launch and ramp are at least half of each."""
    time_us = streamed(case, constants)
    fixed_us = constants.launch_us_on(case.gpu) + constants.ramp_us * case.work.passes
    return time_us, 2 * fixed_us >= time_us


def main() -> None:
    convolutions = neusight_convolutions()
    products = aiconfigurator_matmuls()
    plain_products = neusight_matmuls("linear") + neusight_matmuls("bmm")
    streams = benanza_streams()
    half = [case.where(~case.held_out) for case in convolutions]
    others = [*deepbench_convolutions(), *benanza_convolutions("IMPLICIT_PRECOMP_GEMM")]
    # Both of Benanza's im2col algorithms wait for their loads, so both tell how long; only the second gives error bars.
    waiting = [*others, *benanza_convolutions("IMPLICIT_GEMM")]
    small = [case.where(~case.held_out) for case in waiting]
    plain = fit_slice([*half, *small], fit_handicap(half, fit_plain(half)))
    tensor = fit_tensor([sample(case.where(~case.held_out)) for case in products])
    stream = fit_stream([case.where(~case.held_out) for case in streams])
    blank = Calibration(date.today().isoformat(), plain, tensor, stream, NO_ATTENTION, {}, {}, ())
    constants = record_of(with_hopper(blank))
    calibration = parse_calibration({"date": blank.date, "constants": constants, "errors": []})
    plain, tensor, stream = calibration.plain, calibration.tensor, calibration.stream
    errors = bars([*convolutions, *others], lambda case: gemm_bars(case, plain))
    errors += bars([sample(c, 8000) for c in products], lambda case: gemm_bars(case, tensor))
    half_precision = benanza_convolutions("IMPLICIT_PRECOMP_GEMM", DataType.FP16)
    errors += bars(half_precision, lambda case: gemm_bars(case, tensor))
    outside = [*(sample(c) for c in plain_products), *deepbench_matmuls()]
    errors += bars(outside, lambda case: gemm_bars(case, plain))
    errors += bars(streams, lambda case: stream_bars(case, stream))
    errors += hopper_bars(calibration)
    tables = [*convolutions, *others, *half_precision, *products, *outside, *streams]
    data = {
        "date": blank.date,
        "written_by": "benchmarks/calibrate.py",
        "sources": sorted({H200_SOURCE, *(case.source for case in tables)}),
        "constants": constants,
        "errors": errors,
    }
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(data, indent=1))


if __name__ == "__main__":
    main()
