"""``docs/accuracy.md`` from the results of ``benchmarks/accuracy.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

INTRODUCTION = """# How far off the predictions are

Written by `python benchmarks/accuracy.py`; the figures with all their digits are in
`benchmarks/results/accuracy.json`. Constants are fitted by `python benchmarks/calibrate.py` on half of the shapes
(chosen by a hash of the shape).

Every model below gets one scale and one additive constant per source and GPU, fitted to the least mean absolute
relative error, because outside times contain launch gaps and small helper kernels. *Mean* and *median* are of the
absolute relative error, *geometric* is the geometric mean of the factor off, less one, *rank* is Spearman's
correlation. *Held out*: scale and constant fitted on half of the shapes, judged on those that neither they nor
the shared constants have seen. *Unfitted*: the prediction as it stands, with neither scale nor constant (the
wave model and the prior models are no predictions without them).
"""

OTHER_ALGORITHMS = """Benanza's two algorithms are what cuDNN 7.6 calls IMPLICIT_GEMM (which works out its gather
addresses inside the main loop) and IMPLICIT_PRECOMP_GEMM (which looks them up). The model speaks of the
second; the scale of the first
says how much slower it is. Different laboratories' times of one shape on one GPU model differ by 1.2 (V100,
TITAN Xp) to 1.7 times (T4): read T4 for the ranking only.
"""

SLOW_START = """The rows of this source drift: the same small kernels take longer at the end of a GPU's run than at
its start, whatever ran. One constant cannot follow that, and it is most of the error above. With the drift
taken out (which is a diagnosis, not the rule by which the tables above are made):
"""


def page(result: Mapping[str, Any]) -> str:
    return "\n".join([*_body(result)]) + "\n"


def _body(result: Mapping[str, Any]) -> Iterator[str]:
    yield INTRODUCTION
    yield "## Convolutions\n"
    yield OTHER_ALGORITHMS
    yield from _comparison(result["convolutions"])
    yield "### NeuSight's drift\n"
    yield SLOW_START
    yield from _table(
        ("GPU", "added at the start, us", "added by the end, us", "mean %", "median %"),
        [
            (d["gpu"], d["start_us"], d["growth_us"], _p(d["errors"]["mean_pct"]), _p(d["errors"]["median_pct"]))
            for d in result["drift"]
        ],
    )
    yield "### Shared constants on a GPU they have not seen\n"
    yield from _table(
        ("GPU left out", "mean %", "median %", "rank"),
        [
            (d["gpu"], _p(d["all"]["mean_pct"]), _p(d["all"]["median_pct"]), f"{d['all']['spearman']:.3f}")
            for d in result["leave_one_gpu_out"]
        ],
    )
    yield "## Matrix products\n"
    yield from _comparison(result["matmuls"])
    yield "## Memory-bound kernels (cuDNN 7.6, fp32)\n"
    yield from _table(
        ("GPU", "kind", "rows", "mean %", "median %"),
        [
            (d["gpu"], kind, e["rows"], _p(e["mean_pct"]), _p(e["median_pct"]))
            for d in result["streams"]
            for kind, e in d["kinds"].items()
        ],
    )
    yield "## Error bars\n"
    yield "Share of held-out rows inside the error bar that the package prints; it is made to hold four of five.\n"
    yield from _table(
        ("source", "GPU", "rows", "inside"),
        [
            (d["source"], d["gpu"], d["rows"], "-" if d["inside_share"] is None else f"{100 * d['inside_share']:.0f} %")
            for d in result["coverage"]
        ],
    )
    yield "## Worst rows\n"
    yield from _table(
        ("source", "GPU", "row", "measured, us", "predicted, us", "why"),
        [
            (e["source"], e["gpu"], w["row"], w["measured_us"], w["predicted_us"], w["why"])
            for e in (*result["convolutions"], *result["matmuls"])
            for w in e["worst"]
        ],
    )


def _comparison(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in entries:
        yield f"### {entry['source']}, {entry['gpu']} ({entry['rows']} rows)\n"
        yield from _table(
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


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(str(cell) for cell in row) + " |"
    yield ""
