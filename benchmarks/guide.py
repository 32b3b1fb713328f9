"""The figures of the guide "My model is slow": two models, as an H200 ran them and as Headroom answers.

Reads the recorded profiles (benchmarks/results/profiles) and the measurements that ship with the package, and writes
benchmarks/results/guide.json and the marked parts of docs/my-model-is-slow.md. Runs without a GPU.

python benchmarks/guide.py [DATA]
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import headroom as hr
from bound_networks import BOUNDS
from guide_page import PAGE, filled
from headroom.advise.measurements import usable
from record import RESULTS, read_data_folder, write_result

PROFILES = RESULTS / "profiles"
GPU = "h200"

#: Findings that the guide shows of an answer.
_TOP = 4


@dataclass(frozen=True)
class Walk:
    """A network at one batch: recorded runs, each a step on from the one before, as (what it is, profile's variant)."""

    key: str
    network: str
    batch: int
    runs: tuple[tuple[str, str], ...]


_STEPS = (("as PyTorch runs it", "default"), ("in bf16", "bf16"), ("in bf16, replayed as a CUDA graph", "bf16_graph"))

WALKS = (
    Walk("resnet50", "resnet50", 1, _STEPS),
    Walk(
        "resnet50-32",
        "resnet50",
        32,
        (("as PyTorch runs it", "default"), ("in bf16, channels-last", "bf16_channels_last")),
    ),
    Walk("vit", "vit_b_16", 1, _STEPS),
    Walk("vit-32", "vit_b_16", 32, (("as PyTorch runs it", "default"),)),
)


def walked(walk: Walk, models: Path) -> dict[str, Any]:
    """The figures of a walk: each recorded run as the advisor sees it, and the database's own runs behind them."""
    graph = hr.load(models / BOUNDS[walk.network], batch=walk.batch)
    runs = []
    for label, variant in walk.runs:
        trace = PROFILES / f"{walk.network}-{walk.batch}-{variant}.json.gz"
        runs.append({"label": label, "profile": trace.name, **_answer(hr.analyze(graph, GPU, profile=trace))})
    dtypes = dict.fromkeys(run["dtype"] for run in runs)
    stored = [timed for dtype in dtypes for timed in _stored(hr.analyze(graph, GPU, dtype))]
    return {"network": walk.network, "batch": walk.batch, "runs": runs, "stored": stored}


def _answer(analysis: hr.Analysis) -> dict[str, Any]:
    """What the guide quotes of an answer."""
    document, execution = analysis.to_dict(), analysis.execution
    assert execution is not None
    return {
        "dtype": document["dtype"],
        "latency_us": document["measured_us"],
        "latency_error_pct": document["measured_error_pct"],
        "busy_us": document["profile"]["gpu_busy_us"],
        "launches": document["profile"]["launches"],
        "matched_share": document["profile"]["matched_share"],
        "bounds": {name: document["bounds"][f"{name}_us"] for name in ("sequential", "fused", "speed_of_light")},
        "fused_error_pct": document["bounds"]["fused_error_pct"],
        "verdict": document["verdict"],
        "questions": [{key: one[key] for key in ("number", "question", "sentence")} for one in document["questions"]],
        "findings": [_finding(one, document["questions"]) for one in document["findings"][:_TOP]],
        "more_findings": max(0, len(document["findings"]) - _TOP),
        "waterfall": _waterfall(document["questions"]),
    }


def _finding(finding: Mapping[str, Any], questions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    asked = next((question["number"] for question in questions if finding in question["findings"]), None)
    keys = ("title", "saves_us", "error_pct", "source", "speedup", "action", "code", "limits")
    return {"question": asked, **{key: finding[key] for key in keys}}


def _waterfall(questions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    charts = (chart for question in questions for chart in question["charts"] if chart["kind"] == "waterfall")
    return next((list(chart["steps"]) for chart in charts), [])


def _stored(analysis: hr.Analysis) -> Iterator[dict[str, Any]]:
    """Whole runs of the model that the shipped database has, and the fused bound in the same data type."""
    for run in analysis.networks:
        if usable(run):
            yield {"mode": run.mode, "dtype": run.dtype.value, "latency_us": run.median_us,
                   "fused_us": analysis.bounds.fused_us}  # fmt: skip


def main() -> None:
    models = read_data_folder() / "models"
    path = write_result("guide", {"gpu": GPU, "walks": {walk.key: walked(walk, models) for walk in WALKS}})
    PAGE.write_text(filled(PAGE.read_text("utf-8"), json.loads(path.read_text("utf-8"))), "utf-8")
    print(f"{path}\n{PAGE}")


if __name__ == "__main__":
    main()
