"""How far the predictions are off, on every measured table, beside simpler models.

    python benchmarks/accuracy.py

Writes ``benchmarks/results/accuracy.json``, ``docs/accuracy.md`` and ``docs/charts/accuracy-*.svg``. Every model gets
at most one scale and one constant per source and GPU, fitted alike: outside times contain launch gaps and small helper
kernels.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from accuracy_charts import charts
from accuracy_page import page
from bar_coverage import all_tables, coverage, left_out
from convolution_fit import fit_usual, is_older, timed_alike
from estimates import answered, chosen, given, streamed
from gradient_bars import unseen_gradients
from h200_report import h200_report
from headroom.files import write_whole
from headroom.graph.tensor import DataType
from headroom.predict.calibration import UNLIKE_FACTOR, load_calibration
from headroom.predict.constants import GemmConstants
from headroom.predict.delta import PAPER_TILES, ConvBatch, TileBatch
from headroom.predict.delta import estimate as delta_estimate
from headroom.predict.delta.prior import MISS_RATES, with_miss_rate
from headroom.predict.tiles import GATHERING_TILES, undivided
from kernel_choice import kernel_choice
from record import RESULTS, ROOT, write_result
from statistics_of import errors, scale_and_constant
from tables import (
    DEEPBENCH_GPUS,
    UNSEEN_GPUS,
    Cases,
    aiconfigurator_matmuls,
    benanza_convolutions,
    benanza_streams,
    deepbench_convolutions,
    deepbench_matmuls,
    neusight_convolutions,
    neusight_matmuls,
)

OURS_GIVEN, OURS, WORST_ROWS = "Headroom, kernel given", "Headroom, kernel chosen", 5

#: Rows of this time and more are judged apart too: launch gaps and drifts are a small part of them.
LONG_US = 1000.0


def roofline_us(case: Cases) -> np.ndarray:
    """Arithmetic over peak, or compulsory bytes over DRAM bandwidth, whichever is longer."""
    work = case.work
    flops = 2 * work.batch * work.m * work.n * work.k
    moved = work.a_bytes + work.b_bytes + work.c_bytes
    return np.maximum(flops / (case.gpu.peak_tflops(case.dtype) * 1e6), moved / (case.gpu.dram_peak_gbs * 1e3))


def wave_work(case: Cases) -> np.ndarray:
    """``ceil(CTAs / SMs) * K * tile_m * tile_n``, with the kernel's tile or, where unknown, the chosen one."""
    tiles = case.tiles or chosen(case, constants_of(case))[1]
    ctas = np.ceil(case.work.m / tiles.m) * np.ceil(case.work.n / tiles.n) * case.work.batch
    return np.ceil(ctas / case.gpu.sms) * case.work.k * tiles.m * tiles.n / 1e6


def constants_of(case: Cases) -> GemmConstants:
    """Those of the unit that runs the case's data type."""
    return load_calibration().gemm(case.gpu, case.dtype, "matmul" if case.kind == "matmul" else case.direction)


def convolution_models(case: Cases) -> Iterator[tuple[str, np.ndarray]]:
    """Ours twice: with the kernel's own tile or algorithm where the source tells it, and as the package answers."""
    calibration = load_calibration()
    gathering = calibration.gathering(case.gpu, case.dtype)
    if case.tiles is not None:
        yield OURS_GIVEN, given(case, constants_of(case)).time_us
    elif case.gathering and gathering is not None:
        yield OURS_GIVEN, chosen(case, gathering, among=undivided(GATHERING_TILES))[0].time_us
    elif case.gathering is not None:
        yield OURS_GIVEN, chosen(case, constants_of(case))[0].time_us
    yield OURS, answered(case, calibration).time_us
    yield "wave model", wave_work(case)
    yield "roofline", roofline_us(case)
    convs = delta_batch(case)
    own = case.tiles
    tiles = PAPER_TILES if own is None else TileBatch(own.m, own.n, np.where(own.n >= 128, 8.0, 4.0))
    delta = delta_estimate(convs, case.gpu, case.dtype, tiles=tiles)
    yield "DeLTA as published", delta.time_us
    for rate in MISS_RATES:
        yield f"prior model, miss rate {rate}", with_miss_rate(delta, rate).time_us


def delta_batch(case: Cases) -> ConvBatch:
    """The case's convolutions as DeLTA sees them; gradients through the products that their kernels tile."""
    c, work = case.conv, case.work
    if case.direction != "forward":
        return ConvBatch.build(n=work.m, c=work.k, h=1, w=1, k=work.n, r=1, s=1)
    return ConvBatch.build(
        n=c["n"], c=c["c"], h=c["h"], w=c["w"], k=c["k"], r=c["r"], s=c["s"], stride_h=c["stride"],
        stride_w=c["stride"], pad_h=c["pad_h"], pad_w=c["pad_w"],
    )  # fmt: skip


def matmul_models(case: Cases) -> Iterator[tuple[str, np.ndarray]]:
    yield OURS, answered(case, load_calibration()).time_us
    yield "roofline", roofline_us(case)
    yield "roofline / 0.8 + 3 us", roofline_us(case) / 0.8 + 3.0


def judge(case: Cases, predicted_us: np.ndarray) -> dict[str, object]:
    """Statistics with one scale and one constant, on all rows and fitted on half and judged on the other."""
    fit = scale_and_constant(predicted_us, case.measured_us)
    held = case.held_out
    half = scale_and_constant(predicted_us[~held], case.measured_us[~held])
    long = case.measured_us >= LONG_US
    return {
        "scale": round(fit.scale, 5),
        "constant_us": round(fit.constant_us, 3),
        "all": errors(fit.apply(predicted_us), case.measured_us).as_dict(),
        "held_out": errors(half.apply(predicted_us[held]), case.measured_us[held]).as_dict(),
        "long": errors(fit.apply(predicted_us)[long], case.measured_us[long]).as_dict() if long.sum() > 1 else None,
        "unfitted": errors(predicted_us, case.measured_us).as_dict(),
    }


def compare(cases: list[Cases], models: Callable[[Cases], Iterator[tuple[str, np.ndarray]]]) -> list[dict[str, object]]:
    answers = []
    for case in cases:
        entry: dict[str, object] = {"source": case.source, "gpu": case.gpu.id, "rows": len(case), "models": {}}
        for name, predicted in models(case):
            entry["models"][name] = judge(case, predicted)
            if name in (OURS, OURS_GIVEN):
                entry["worst"] = worst(case, predicted)
        answers.append(entry)
        ours = entry["models"].get(OURS_GIVEN, entry["models"][OURS])["all"]
        print(f"{case.source:32} {case.gpu.id:16} mean {ours['mean_pct']:6.2f} % median {ours['median_pct']:6.2f} %")
    return answers


def worst(case: Cases, predicted_us: np.ndarray) -> list[dict[str, object]]:
    """The rows furthest off, each with what is known about it."""
    fit = scale_and_constant(predicted_us, case.measured_us)
    fitted = fit.apply(predicted_us)
    order = np.argsort(-np.abs(np.log(np.maximum(fitted, 1e-3) / case.measured_us)), kind="stable")[:WORST_ROWS]
    return [
        {
            "row": case.labels[i],
            "measured_us": round(float(case.measured_us[i]), 2),
            "predicted_us": round(float(fitted[i]), 2),
            "why": explanation(case, int(i), float(fit.scale * predicted_us[i])),
        }
        for i in order
    ]


def explanation(case: Cases, index: int, device_us: float) -> str:
    """What sets a row apart, from the table itself."""
    kernel = case.kernels[index] if case.kernels else ""
    measured = case.measured_us[index]
    if case.source == "NeuSight conv" and device_us < 0.5 * measured:
        return (
            f"the kernel is a small part of the time; row at {100 * case.order[index]:.0f} % of the source's "
            "run, whose overhead grows from start to end in every row alike: a constant cannot follow"
        )
    if "3dconv" in kernel or "nhwc" in kernel:
        return "the library transposed the tensors for this kernel, and the time contains that"
    if kernel:
        return f"ran {kernel[:48]}, {measured / device_us:.1f} times the predicted kernel time"
    ctas = chosen(case.where(np.arange(len(case)) == index), constants_of(case))[0].ctas[0]
    if ctas < case.gpu.sms and measured > device_us:
        busy = f"{int(ctas)} CTAs for {case.gpu.sms} SMs"
        return f"{busy}: the kernel probably waits on its own loads for longer than the model allows"
    if min(case.work.m[index], case.work.n[index]) <= 64:
        return "a narrow product, for which the library has kernels outside the tile list"
    return "the library took another kernel or split than the model"


def drift(cases: list[Cases]) -> list[dict[str, object]]:
    """What remains when a source's drift over its run is taken out (a diagnosis, not the rule's figure)."""
    answers = []
    for case in cases:
        predicted = given(case, constants_of(case)).time_us
        design = np.column_stack([predicted, np.ones(len(case)), case.order]) / case.measured_us[:, None]
        weights = np.ones(len(case))
        for _ in range(30):  # iteratively reweighted least squares: least absolute relative error
            root = np.sqrt(weights)
            solution = np.linalg.lstsq(design * root[:, None], root, rcond=None)[0]
            weights = 1 / np.maximum(np.abs(design @ solution - 1), 1e-3)
        fitted = design @ solution * case.measured_us
        answers.append(
            {
                "gpu": case.gpu.id,
                "start_us": round(float(solution[1]), 1),
                "growth_us": round(float(solution[2]), 1),
                "errors": errors(fitted, case.measured_us).as_dict(),
            }
        )
    return answers


def leave_one_gpu_out(cases: list[Cases]) -> list[dict[str, object]]:
    """Shared constants fitted without a GPU's rows of any source, judged on it: do they transfer?"""
    answers = []
    for left in cases:
        model = left.gpu.id.split("-")[0]
        rest = [case for case in cases if case is not left]
        others = [case for case in timed_alike() if not case.gpu.id.startswith(model)]
        constants = fit_usual(rest, others)[0 if is_older(left.gpu) else 1]
        answers.append({"gpu": left.gpu.id, **judge(left, given(left, constants).time_us)})
    return answers


def costs(cases: list[Cases]) -> list[dict[str, object]]:
    """The mean error when one of the costs beside the multiplications is left out, or all."""
    without: dict[str, tuple[str, ...]] = {
        "nothing": (), "step": ("step_cycles",), "store": ("output_cycles",), "torn": ("torn_writes",),
        "all": ("step_cycles", "output_cycles", "torn_writes"),
    }  # fmt: skip
    answers = []
    for case in cases:
        errors_of = {}
        for name, fields in without.items():
            constants = replace(constants_of(case), **dict.fromkeys(fields, 0.0))
            best = given(case, constants) if case.tiles is not None else chosen(case, constants)[0]
            errors_of[name] = judge(case, best.time_us)["all"]["mean_pct"]
        answers.append({"source": case.source, "gpu": case.gpu.id, "mean_pct": errors_of})
    return answers


def stream_report(cases: list[Cases]) -> list[dict[str, object]]:
    """Memory-bound kernels by kind, with one scale and constant per GPU for all kinds together."""
    answers = []
    for case in cases:
        predicted = streamed(case, load_calibration().stream)
        fit = scale_and_constant(predicted, case.measured_us)
        names = np.array(case.kinds)
        kinds = {
            kind: errors(fit.apply(predicted)[names == kind], case.measured_us[names == kind]).as_dict()
            for kind in sorted(set(case.kinds))
        }
        answers.append(
            {"gpu": case.gpu.id, "scale": round(fit.scale, 4), "constant_us": round(fit.constant_us, 3), "kinds": kinds}
        )
    return answers


def main() -> None:
    warnings.filterwarnings("ignore", message="divide by zero")
    neusight = neusight_convolutions()
    gradients = [
        case
        for direction in ("dgrad", "wgrad")
        for gpus in (DEEPBENCH_GPUS, UNSEEN_GPUS)
        for case in deepbench_convolutions(gpus, direction)
    ]
    convolutions = [
        *neusight,
        *deepbench_convolutions(),
        *deepbench_convolutions(UNSEEN_GPUS),
        *gradients,
        *benanza_convolutions("IMPLICIT_GEMM"),
        *benanza_convolutions("IMPLICIT_PRECOMP_GEMM"),
        *benanza_convolutions("IMPLICIT_PRECOMP_GEMM", DataType.FP16),
    ]
    products = [
        *aiconfigurator_matmuls(),
        *neusight_matmuls("linear"),
        *neusight_matmuls("bmm"),
        *deepbench_matmuls(),
        *deepbench_matmuls(UNSEEN_GPUS),
    ]
    usual = [c for c in convolutions if c.dtype is DataType.FP32 and c.direction == "forward" and not c.gathering]
    tables = list(all_tables([*convolutions, *products], benanza_streams(), load_calibration()))
    others = left_out(load_calibration())
    networks = json.loads((RESULTS / "lbl_networks.json").read_text())["rows"]
    drawn = charts(convolutions, products, networks)
    result = {
        "calibration_date": load_calibration().date,
        "convolutions": compare(convolutions, convolution_models),
        "matmuls": compare(products, matmul_models),
        "costs": costs(usual),
        "drift": drift(neusight),
        "leave_one_gpu_out": leave_one_gpu_out(neusight),
        "streams": stream_report(benanza_streams()),
        "unlike_factor": UNLIKE_FACTOR,
        "coverage": coverage(tables, load_calibration(), others),
        "unseen_gradients": unseen_gradients(load_calibration()),
        "h200": h200_report(others),
        "h200_choice": kernel_choice(),
        "lbl_networks": networks,
        "charts": {name: title for name, (title, _) in drawn.items()},
    }
    for name, (_, text) in drawn.items():
        write_whole(ROOT / "docs" / "charts" / name, text)
    write_result("accuracy", result)
    write_whole(ROOT / "docs" / "accuracy.md", page(result))


if __name__ == "__main__":
    main()
