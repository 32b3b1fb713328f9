"""How far off the models of Winograd's and the FFT's kernels are: writes ``docs/transformed.md``.

    python benchmarks/transformed_report.py

The figures with all their digits go to ``benchmarks/results/transformed.json``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from headroom.files import write_whole
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration, load_calibration
from headroom.predict.constants import family_of
from headroom.predict.delta import ConvBatch
from headroom.predict.error_groups import REGIMES, regimes_of, transformed_kind
from headroom.predict.table import predict_table
from headroom.predict.transformed import Machinery, fastest_transformed, title
from page_tables import table
from record import ROOT, write_result
from statistics_of import errors, scale_and_constant
from transformed_fit import all_runs, estimated, residuals_of
from transformed_tables import Runs, fastest_runs

PAGE = ROOT / "docs" / "transformed.md"

INTRODUCTION = """# Winograd and FFT kernels

Written by `python benchmarks/transformed_report.py`; all digits are in `benchmarks/results/transformed.json`.

In strict fp32 a library runs many convolutions with unit steps by an algorithm that multiplies less than their
definition. `headroom.predict.transformed` has a model of each that cuDNN names, made of what it launches:

- **WINOGRAD**, F(2x2, 3x3): one kernel transforms, multiplies and transforms back in registers, after a small one for
  the filters. 4 products per output instead of 9. Its time follows CTAs of 32 tiles by 32 filters, in waves.
- **WINOGRAD_NONFUSED**, F(4x4, 3x3) and F(4x4, 5x5): three transforms through memory around one batched product. 2.25
  products per output instead of 9, or 4 instead of 25. Its time is that of the product (whose 36 or 64 parts have the
  constants of all products) and of the transforms' bytes; a batch is filled up to sixteen images.
- **FFT**: whole images filled up to a power of two; three transforms, one complex product per frequency.
- **FFT_TILING**: the same for squares of 32x32 pixels, one after another, three launches each.

The sizes of grids, tiles and batches are those that recorded runs show: NeuSight's table has the grid of every main
kernel, and these models give it exactly. Seven constants are fitted (three of them the fused kernel's efficiency on
three architectures), with the kernels of half of the shapes, on NeuSight's and Benanza's rows together.

`headroom analyze` takes the fastest of these and of the im2col kernels for every layer; the layer's note and its
`implementation` say which. A table for `headroom predict` is answered for the im2col kernel, as DeLTA's, unless its
column `algorithm` says `fastest`. An input gradient with unit steps is a forward convolution with its channels
exchanged, and is transformed alike; nothing was fitted to gradients. Tensor cores multiply directly: no row of fp16
or tf32 in these tables ran otherwise. On Hopper, whose rows tell the fastest implementation but not its algorithm,
one set of constants stands for all of them.
"""

PER_ALGORITHM = """## Each algorithm by itself

Held-out shapes. *Fitted*: with one scale, one constant and, for NeuSight, one drift per row of this table, fitted on
the other half (the drift is that of the source's run, see [accuracy.md](accuracy.md)). *Unfitted*: the prediction as
it stands. *Inside*: held-out rows within the printed error bar, the source's scale, constant and drift taken off.
Benanza's T4 throttled; none of its rows is fitted on.
"""

PER_LAYER = """## The fastest of all algorithms

Benanza's layers with unit steps and filters of 3x3 and more: the least time of any algorithm it has for the shape,
against the fastest prediction. One scale and one constant per GPU, fitted on half of the shapes; the others are judged.
*im2col only* is what a model without these algorithms says. *Named*: the predicted algorithm (all im2col ones counting
as one) is the fastest, or takes at most a tenth longer.
"""


def algorithm_rows(calibration: Calibration) -> list[dict[str, Any]]:
    answers = []
    for runs in all_runs():
        best, held = estimated(runs, calibration), runs.held_out
        predicted = best.time_us
        found = residuals_of(runs, predicted)
        if held.sum() < 3 or found is None:
            continue
        fitted = found.fit.scale * predicted + found.fit.added_us(runs.order)
        regimes = np.array(REGIMES)[regimes_of(best.time_us, best.is_short)]
        kind = transformed_kind(runs.algorithm)
        bars = np.array(
            [calibration.error_pct(kind, "plain", runs.gpu, str(x), DataType.FP32, "warm") for x in regimes]
        )
        answers.append(
            {
                "source": runs.source, "gpu": runs.gpu.id, "family": family_of(runs.gpu), "algorithm": runs.algorithm,
                "rows": int(held.sum()), "scale": round(found.fit.scale, 4),
                "fitted": errors(fitted[held], runs.measured_us[held]).as_dict(),
                "unfitted": errors(predicted[held], runs.measured_us[held]).as_dict(),
                "bar_pct": round(float(np.median(bars[found.counted])), 1),
                "inside_share": round(float((found.off_pct <= bars)[found.counted].mean()), 3),
            }
        )  # fmt: skip
    return answers


def layer_rows(calibration: Calibration) -> list[dict[str, Any]]:
    answers = []
    for runs in fastest_runs():
        direct = im2col_us(runs)
        streams = calibration.streams(runs.gpu)
        machinery = Machinery(runs.gpu, calibration.plain, streams, calibration.transforms, "warm")
        other = fastest_transformed(runs.convs, machinery)
        transforms = other.estimate.time_us < direct
        fastest = np.where(transforms, other.estimate.time_us, direct)
        names = np.where(transforms, other.names, "IM2COL")
        answers.append(
            {
                "gpu": runs.gpu.id, "rows": int(runs.held_out.sum()),
                "fastest": judge(runs, fastest), "im2col_only": judge(runs, direct),
                "named_share": round(float(np.mean([runs.is_about_fastest(i, n) for i, n in enumerate(names)])), 3),
                "transformed_share": round(float(np.mean(runs.winners != "IM2COL")), 3),
            }
        )  # fmt: skip
    return answers


def judge(runs: Runs, predicted_us: np.ndarray) -> dict[str, Any]:
    held = runs.held_out
    fit = scale_and_constant(predicted_us[~held], runs.measured_us[~held])
    return {
        "scale": round(fit.scale, 4), "constant_us": round(fit.constant_us, 2),
        "held_out": errors(fit.apply(predicted_us[held]), runs.measured_us[held]).as_dict(),
        "unfitted": errors(predicted_us[held], runs.measured_us[held]).as_dict(),
    }  # fmt: skip


def im2col_us(runs: Runs) -> np.ndarray:
    """What ``headroom predict`` says."""
    return predict_table([_row(runs.convs, i) for i in range(len(runs))], runs.gpu).answers.time_us


def _row(convs: ConvBatch, index: int) -> dict[str, object]:
    sizes = {name: int(getattr(convs, name)[index]) for name in ("n", "c", "h", "w", "k", "r", "s")}
    return {"op": "conv2d", **sizes, "padding": f"{int(convs.pad_h[index]) // 2}x{int(convs.pad_w[index]) // 2}"}


def page(result: dict[str, Any]) -> str:
    return "\n".join(_body(result)) + "\n"


def _body(result: dict[str, Any]) -> Iterator[str]:
    yield INTRODUCTION
    yield PER_ALGORITHM
    yield from table(
        (
            "source", "GPU", "algorithm", "rows", "fitted: mean %", "median %", "rank", "scale", "unfitted: mean %",
            "error bar %", "inside",
        ),
        [
            (
                r["source"], r["gpu"], r["algorithm"], r["rows"], f"{r['fitted']['mean_pct']:.1f}",
                f"{r['fitted']['median_pct']:.1f}", f"{r['fitted']['spearman']:.3f}", f"{r['scale']:.2f}",
                f"{r['unfitted']['mean_pct']:.1f}", r["bar_pct"], f"{100 * r['inside_share']:.0f} %",
            )
            for r in result["algorithms"]
        ],
    )  # fmt: skip
    yield PER_LAYER
    yield from table(
        (
            "GPU", "rows", "transformed, measured", "mean %", "median %", "rank", "unfitted: mean %",
            "im2col only: mean %", "unfitted: mean %", "named",
        ),
        [
            (
                r["gpu"], r["rows"], f"{100 * r['transformed_share']:.0f} %",
                f"{r['fastest']['held_out']['mean_pct']:.1f}", f"{r['fastest']['held_out']['median_pct']:.1f}",
                f"{r['fastest']['held_out']['spearman']:.3f}", f"{r['fastest']['unfitted']['mean_pct']:.1f}",
                f"{r['im2col_only']['held_out']['mean_pct']:.1f}", f"{r['im2col_only']['unfitted']['mean_pct']:.1f}",
                f"{100 * r['named_share']:.0f} %",
            )
            for r in result["layers"]
        ],
    )  # fmt: skip
    names = ", ".join(f"{name} ({title(name)})" for name in ("WINOGRAD", "WINOGRAD_NONFUSED", "FFT", "FFT_TILING"))
    yield f"Names: {names}."


def main() -> None:
    calibration = load_calibration()
    result = {
        "calibration_date": calibration.date,
        "algorithms": algorithm_rows(calibration),
        "layers": layer_rows(calibration),
    }
    write_result("transformed", result)
    write_whole(PAGE, page(result))


if __name__ == "__main__":
    main()
