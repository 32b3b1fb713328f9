"""``docs/accuracy.md`` from the results of ``benchmarks/accuracy.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, median
from typing import Any

from bar_page import error_bars
from page_tables import table

INTRODUCTION = """# How far off the predictions are

Written by `python benchmarks/accuracy.py`; the figures with all their digits are in
`benchmarks/results/accuracy.json`. Constants are fitted by `python benchmarks/calibrate.py` on half of the shapes
(chosen by a hash of the shape).

Tables of others: every model gets one scale and one additive constant per source and GPU, fitted to the least mean
absolute relative error, because outside times contain launch gaps and small helper kernels. *Mean* and *median* are of
the absolute relative error, *geometric* is the geometric mean of the factor off, less one, *rank* is Spearman's
correlation. *Held out*: scale and constant fitted on half of the shapes, judged on those that neither they nor
the shared constants have seen. *Unfitted*: the prediction as it stands, with neither scale nor constant (the
wave model and the prior models are no predictions without them). On the GTX 1080 Ti and the M40 nothing but that
scale and constant was fitted. *Target*: the mean error that was aimed at.

The simpler models: *roofline* is arithmetic over the peak rate or compulsory bytes over the DRAM's bandwidth,
whichever is longer; the *wave model* is the number of waves times the multiply-adds of a tile; a *prior model* is
DeLTA with one fixed miss rate in place of its traffic model.
"""

OTHER_ALGORITHMS = """*Kernel given*: with the kernel's own tile (NeuSight) or algorithm (Benanza). *Kernel chosen*: as
the package answers, with the fastest of the kernels that it knows. Benanza's two algorithms are what cuDNN 7.6 calls
IMPLICIT_GEMM (whose kernels work out each load's address as they go, and have small tiles) and IMPLICIT_PRECOMP_GEMM
(which looks them up): the first is the faster where the grid is small, so that an answer for the fastest is one for
neither table. Different laboratories' times of one shape on one GPU model differ, most of all on the T4: read T4 for
the ranking only.
"""

COSTS = """What the costs beside the multiplications (`headroom.predict.cta_costs`) are worth: mean error in percent,
with the kernel given, when one is left out and scale and constant are fitted again.
"""

SLOW_START = """The rows of this source drift: the same small kernels take longer at the end of a GPU's run than at
its start, whatever ran. One constant cannot follow that, and it is most of the error above. With the drift
taken out (which is a diagnosis, not the rule by which the tables above are made):
"""


H200 = """The rows are the single layers of the database that comes with the package, each with the fastest
implementation that was found for it (cuDNN 9.19, cuBLASLt 13.1, PyTorch 2.11 and its compiler), replayed as a CUDA
graph: *warm* with its operands in the L2 cache as far as they fit, *cold* after other data was read. For products and
attention there are also the sizes of `benchmarks/results/h200_layers.csv` (warm, as PyTorch runs them). Constants are
fitted on half of the configurations and judged here on the other half; the times are the device's own, so neither
scale nor constant is fitted. No constant is fitted on the held-out half, but the form of the model and the limits of
its constants were settled with both halves in sight, and the layers of one network are alike: expect a little more
on layers of another source. The sorts of convolutions, and what is hard:

- *pointwise* convolutions (one tap, unit steps) run on the product library's kernels and are predicted best.
- *biased* ones in bf16 may run on cuDNN's kernels of fused arithmetic, which start a microsecond sooner than those
  without a bias; how they cut images of odd sizes is not known.
- *unaligned* ones, whose channels do not fill 16 bytes, run on kernels of the GPUs before, or between launches that
  pad the images, the filter and the result: four to seven in all, each of which is counted.
- *stem*: up to four input channels; large filters and steps fall back to direct kernels.
- *grouped* ones (but not depthwise) are few, and differ most.
- *vector*: one output position. *other*: all that is none of these; in fp32 with unit steps also Fourier transforms
  in tiles, which have a model of their own.
- *matmul: PyTorch* are sizes that PyTorch alone was timed on, with the kernel that its library chose without a
  search. They are predicted from that library's kernels alone, all others of these sorts from those of all libraries,
  fitted one by one on `benchmarks/results/h200_kernels.csv.gz`.
- Depthwise convolutions in bf16 have several kernels of very different speed, no one of which is always there.
- Attention in fp32 and TF32 has too few rows to fit anything on.
"""

#: Mean errors that were set as targets, in percent, by source and GPU or by operation and data type.
TARGETS = {
    ("NeuSight conv", "v100-pcie-32gb"): 12,
    ("NeuSight conv", "p100-pcie"): 19,
    ("DeepBench conv", "titan-xp"): 15,
    ("DeepBench conv", "p100-pcie"): 15,
    ("DeepBench dgrad", "titan-xp"): 15,
    ("DeepBench dgrad", "p100-pcie"): 15,
    ("DeepBench wgrad", "titan-xp"): 15,
    ("DeepBench wgrad", "p100-pcie"): 15,
    ("aiconfigurator bf16", "a100-80gb-sxm"): 10,
    ("aiconfigurator bf16", "l40s"): 12,
    ("matmul", "bf16"): 7,
    ("matmul: PyTorch", "bf16"): 7,
    ("attention", "bf16"): 30,
} | {
    (f"NeuSight {kind}", gpu): 10
    for kind in ("linear", "bmm")
    for gpu in ("a100-40gb-pcie", "p100-pcie", "t4", "v100-pcie-32gb")
} | {
    (op, dtype): 20
    for op in (
        "activation", "costly activation", "elementwise", "layer normalization", "softmax", "reduction",
        "transposition", "movement", "normalization",
    )
    for dtype in ("bf16", "fp32")
}  # fmt: skip

#: Geometric mean errors that were set as targets, in percent, by operation and data type.
GEOMETRIC_TARGETS = {("conv2d", "fp32"): 6, ("conv2d", "tf32"): 8, ("conv2d", "bf16"): 8}

_SUMMARY_MODELS = (
    ("Headroom, kernel given", "Headroom, kernel chosen"), ("DeLTA as published",), ("wave model",), ("roofline",),
)  # fmt: skip
_H200_MODELS = ("Headroom", "roofline / 0.8 + 3 us", "roofline")


def page(result: Mapping[str, Any]) -> str:
    return "\n".join([*_body(result)]) + "\n"


def _body(result: Mapping[str, Any]) -> Iterator[str]:
    yield INTRODUCTION
    yield "## Summary\n"
    yield from _summary(result)
    yield from _scatter(result["charts"])
    yield from _h200(result["h200"])
    yield from _choice(result.get("h200_choice", ()))
    yield from _bounds(result.get("lbl_networks", ()))
    yield from _convolutions(result)
    yield "## Matrix products\n"
    yield "On GPUs that no constant was fitted on, and beside a learned utilisation: see [products.md](products.md).\n"
    yield from _comparison(result["matmuls"])
    yield "## Memory-bound kernels (cuDNN 7.6, fp32)\n"
    yield from table(
        ("GPU", "kind", "rows", "mean %", "median %"),
        [
            (d["gpu"], kind, e["rows"], _p(e["mean_pct"]), _p(e["median_pct"]))
            for d in result["streams"]
            for kind, e in d["kinds"].items()
        ],
    )
    yield from error_bars(result)
    yield from _worst_rows(result)


def _scatter(charts: Mapping[str, str]) -> Iterator[str]:
    yield "## Predicted against measured\n"
    yield "Held-out rows: measured across, predicted up, both in logarithms; where both agree, a mark lies on the line."
    yield "Of large tables every n-th row is drawn. Outside tables have the scale and constant that their other half"
    yield "gave. Networks are the sums of section *Whole networks*.\n"
    for name, title in charts.items():
        yield f"![{title}: predicted against measured](charts/{name})\n"


def _convolutions(result: Mapping[str, Any]) -> Iterator[str]:
    yield "## Convolutions\n"
    yield OTHER_ALGORITHMS
    yield from _comparison(result["convolutions"])
    yield "### Rows of 1 ms and more\n"
    yield "With the scale and the constant of all rows of the source.\n"
    yield from table(
        ("source", "GPU", "rows", "mean %", "median %"),
        [
            (entry["source"], entry["gpu"], long["rows"], _p(long["mean_pct"]), _p(long["median_pct"]))
            for entry in result["convolutions"]
            if (long := next(iter(entry["models"].values()))["long"])
        ],
    )
    yield "### What each cost is worth\n"
    yield COSTS
    yield from table(
        ("source", "GPU", "all", "no shortest step", "no storing", "no torn bursts", "none of them"),
        [(d["source"], d["gpu"], *(_p(value) for value in d["mean_pct"].values())) for d in result["costs"]],
    )
    yield "### NeuSight's drift\n"
    yield SLOW_START
    yield from table(
        ("GPU", "added at the start, us", "added by the end, us", "mean %", "median %"),
        [
            (d["gpu"], d["start_us"], d["growth_us"], _p(d["errors"]["mean_pct"]), _p(d["errors"]["median_pct"]))
            for d in result["drift"]
        ],
    )
    yield "### Shared constants on a GPU they have not seen\n"
    yield from table(
        ("GPU left out", "mean %", "median %", "rank"),
        [
            (d["gpu"], _p(d["all"]["mean_pct"]), _p(d["all"]["median_pct"]), f"{d['all']['spearman']:.3f}")
            for d in result["leave_one_gpu_out"]
        ],
    )


def _worst_rows(result: Mapping[str, Any]) -> Iterator[str]:
    yield "## Worst rows\n"
    yield from table(
        ("source", "GPU", "row", "measured, us", "predicted, us", "why"),
        [
            (e["source"], e["gpu"], w["row"], w["measured_us"], w["predicted_us"], w["why"])
            for e in (*result["convolutions"], *result["matmuls"])
            for w in e["worst"]
        ],
    )
    yield "### H200, held-out rows\n"
    yield "What the prediction stood for is in the last column.\n"
    yield from table(
        ("operation", "data type", "row", "measured, us", "predicted, us", "predicted as"),
        [
            (e["op"], e["dtype"], w["row"], w["measured_us"], w["predicted_us"], w["why"])
            for e in result["h200"]
            if e["l2"] == "warm" and e["op"] != "conv2d"
            for w in e["worst"]
        ],
    )


def _summary(result: Mapping[str, Any]) -> Iterator[str]:
    """One line per source and GPU: mean errors of the models, and the target where one is set."""
    yield "Mean absolute relative error in percent.\n"
    yield "Tables of others, with one scale and one constant per source and GPU:\n"
    yield from table(
        ("source", "GPU", "rows", "Headroom", "DeLTA as published", "wave model", "roofline", "target"),
        [
            (
                entry["source"], entry["gpu"], entry["rows"],
                *(_mean_of(entry["models"], names) for names in _SUMMARY_MODELS),
                TARGETS.get((entry["source"], entry["gpu"]), ""),
            )
            for entry in (*result["convolutions"], *result["matmuls"])
        ],
    )  # fmt: skip
    yield "This project's own times of an H200 with a warm L2, held-out rows, nothing fitted to the source:\n"
    yield from table(
        (
            "operation", "data type", "rows", "Headroom", "roofline / 0.8 + 3 us", "roofline", "target",
            "Headroom, geometric", "target",
        ),
        [
            (
                entry["op"], entry["dtype"], entry["held_out_rows"],
                *(_p(entry["models"][name]["held_out"]["mean_pct"]) for name in _H200_MODELS),
                TARGETS.get((entry["op"], entry["dtype"]), ""),
                _p(entry["models"]["Headroom"]["held_out"]["geometric_pct"]),
                GEOMETRIC_TARGETS.get((entry["op"], entry["dtype"]), ""),
            )
            for entry in result["h200"]
            if entry["l2"] == "warm"
        ],
    )  # fmt: skip
    missed = list(_missed(result))
    yield f"Targets missed: {', '.join(missed)}.\n" if missed else "Every target is met.\n"


def _missed(result: Mapping[str, Any]) -> Iterator[str]:
    """What the summary shows above its target."""
    for entry in (*result["convolutions"], *result["matmuls"]):
        target_pct = TARGETS.get((entry["source"], entry["gpu"]))
        if target_pct is not None and float(_mean_of(entry["models"], _SUMMARY_MODELS[0])) > target_pct:
            yield f"{entry['source']} on {entry['gpu']}"
    for entry in (entry for entry in result["h200"] if entry["l2"] == "warm"):
        for statistic, targets in (("mean_pct", TARGETS), ("geometric_pct", GEOMETRIC_TARGETS)):
            target_pct = targets.get((entry["op"], entry["dtype"]))
            if target_pct is not None and entry["models"]["Headroom"]["held_out"][statistic] > target_pct:
                yield f"{entry['op']} in {entry['dtype']}"


def _mean_of(models: Mapping[str, Any], names: Sequence[str]) -> str:
    """The error of the first of ``names`` that was compared; a dash where none was."""
    return next((_p(models[name]["all"]["mean_pct"]) for name in names if name in models), "-")


#: The ablation: the same rows by the tile model, without the constants of single kernels.
_BY_TILES = "Headroom, by tiles alone"


def _h200(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "## Layers timed on an H200\n"
    yield H200
    yield from table(
        (
            "operation", "data type", "L2", "held-out rows", "geometric %", "by tiles alone", "mean %", "median %",
            "rank",
            "roofline / 0.8 + 3 us: mean %", "median %", "rank", "roofline: mean %", "error bar %", "inside it",
        ),
        [
            (
                entry["op"], entry["dtype"], entry["l2"], entry["held_out_rows"],
                *(_p(entry["models"][name]["held_out"]["geometric_pct"]) for name in ("Headroom", _BY_TILES)),
                *(
                    text
                    for name in _H200_MODELS[:2]
                    for text in _three(entry["models"][name]["held_out"])
                ),
                _p(entry["models"]["roofline"]["held_out"]["mean_pct"]),
                _p(entry["bar_pct"]), f"{100 * entry['inside_share']:.0f} %",
            )
            for entry in entries
        ],
    )  # fmt: skip
    counted = [entry for entry in entries if not entry["op"].startswith("conv2d: ")]
    held = sum(entry["held_out_rows"] for entry in counted)
    inside = sum(entry["held_out_rows"] * entry["inside_share"] for entry in counted)
    yield f"Of all {held} held-out rows, {100 * inside / held:.0f} % lie inside an error bar made without"
    yield "them (a fifth of the rows left out at a time; per sort of kernel, multiplier, data type and cache state, of"
    yield "fewer than 20 rows all data types together). *Error bar* is the printed one, made from all of them.\n"


def _choice(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not entries:
        return
    yield "### The kernel that is chosen\n"
    yield "Over the held-out layers with a warm L2: how often the theory takes the very kernel (family, tile,"
    yield "division of K) that was measured fastest, and, where its choice was timed on the layer at all, how often"
    yield "that is within 5 % of the fastest and how far above it the median lies. Several kernels are often alike.\n"
    yield from table(
        ("kernels", "layers", "to choose from", "the fastest itself", "timed", "within 5 %", "median above, %"),
        [
            (
                e["set"], e["layers"], e["kernels"], _share(e["same_share"]), _share(e["timed_share"]),
                _share(e["as_good_share"]), "-" if e["median_cost"] is None else _p(100 * (e["median_cost"] - 1)),
            )
            for e in entries
        ],
    )  # fmt: skip


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _bounds(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    yield "### Whole networks: the lower-bound latency, predicted and measured\n"
    yield "These families of networks were left out of the fit, a fold at a time: no layer of theirs was seen by the"
    yield "constants of kernels and streams that predict them (`benchmarks/lbl_networks.py`). Networks count where"
    yield "every layer was measured, with a warm L2. Absolute errors of the sums in percent; the last column has the"
    yield "shipped constants, which know half of the layers.\n"
    groups = sorted({(row["dtype"], str(row["batch"])) for row in rows})
    every = {key: [r for r in rows if (r["dtype"], str(r["batch"])) == key] for key in groups}
    yield from table(
        ("data type", "batch", "networks", "sequential, mean", "median", "worst", "fused, mean", "shipped, mean"),
        [(*key, len(part), *_bound_errors(part)) for key, part in [*every.items(), (("all", ""), list(rows))]],
    )
    yield from table(
        ("network", "data type", "batch", "measured, us", "predicted, us", "off, %", "fused: measured", "predicted"),
        [
            (
                r["network"], r["dtype"], r["batch"], f"{r['measured_us']:.0f}", f"{r['predicted_us']:.0f}",
                f"{100 * (r['predicted_us'] / r['measured_us'] - 1):+.1f}",
                *("-" if r[name] is None else f"{r[name]:.0f}" for name in ("fused_measured_us", "fused_predicted_us")),
            )
            for r in rows
        ],
    )  # fmt: skip


def _bound_errors(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    off = [abs(r["predicted_us"] / r["measured_us"] - 1) for r in rows]
    yield from (_p(100 * value) for value in (fmean(off), median(off), max(off)))
    fused = [abs(r["fused_predicted_us"] / r["fused_measured_us"] - 1) for r in rows if r["fused_measured_us"]]
    yield _p(100 * fmean(fused)) if fused else "-"
    yield _p(100 * fmean(abs(r["shipped_us"] / r["measured_us"] - 1) for r in rows))


def _three(statistics: Mapping[str, float]) -> tuple[str, str, str]:
    return _p(statistics["mean_pct"]), _p(statistics["median_pct"]), f"{statistics['spearman']:.3f}"


def _comparison(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in entries:
        yield f"### {entry['source']}, {entry['gpu']} ({entry['rows']} rows)\n"
        yield from table(
            (
                "model", "mean %", "median %", "geometric %", "rank", "held out: mean %", "unfitted: mean %", "scale",
                "constant, us",
            ),
            [
                (
                    name, _p(j["all"]["mean_pct"]), _p(j["all"]["median_pct"]), _p(j["all"]["geometric_pct"]),
                    f"{j['all']['spearman']:.3f}", _p(j["held_out"]["mean_pct"]),
                    _p(j["unfitted"]["mean_pct"]), f"{j['scale']:.3g}",
                    f"{j['constant_us']:.3g}",
                )
                for name, j in entry["models"].items()
            ],
        )  # fmt: skip


def _p(value: float) -> str:
    return f"{value:.1f}"
