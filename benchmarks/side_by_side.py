"""PyTorch's profiler, HTA and Headroom side by side, on the recorded profiles.

Reads the profiles and benchmarks/results/hta.json (made by side_by_side_hta.py), asks Headroom about each profile, and
writes benchmarks/results/side_by_side.json and docs/side-by-side.md. Runs without a GPU.

python benchmarks/side_by_side.py [DATA]
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import headroom as hr
from bound_networks import BOUNDS
from headroom import figures
from record import RESULTS, ROOT, read_data_folder, write_result
from side_by_side_eye import Loss, dearest, operators, profiler_table
from side_by_side_page import page

PAGE = ROOT / "docs" / "side-by-side.md"
GPU = "h200"

#: Rows of PyTorch's table, and findings, that are kept of each run.
_TOP = 8

#: The title of question 4's table of launches beside the layers.
_UNASKED = "Launches that no layer asks for"

_FIGURE = re.compile(r"\d (?:[nµm]?s|%)")


def compared(name: str, hta: Mapping[str, Any], models: Path) -> dict[str, Any]:
    """A run as the three tools show it: ``name`` is its profile's, ``NETWORK-BATCH-VARIANT``."""
    network, batch, _ = name.rsplit("-", 2)
    trace = RESULTS / "profiles" / f"{name}.json.gz"
    graph = hr.load(models / BOUNDS[network], batch=int(batch))
    answer = hr.analyze(graph, GPU, profile=trace).to_dict()
    rows = profiler_table(trace, hta["steps"])
    return {
        "profile": name,
        "busy_us": sum(row.time_us for row in rows),
        "launches": sum(row.launches for row in rows),
        "operators": operators(rows)[:_TOP],
        "latency_us": answer["measured_us"],
        "latency_error_pct": answer["measured_error_pct"],
        "dtype": answer["dtype"],
        "fused_us": answer["bounds"]["fused_us"],
        "fused_error_pct": answer["bounds"]["fused_error_pct"],
        "findings": [_shortened(one) for one in answer["findings"]],
        "losses": [_held_against(loss, spent_us, answer) for loss, spent_us in dearest(rows, hta)],
    }


def _shortened(finding: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: finding[key] for key in ("kind", "title", "saves_us", "error_pct")}
    return {**kept, "layers": len(finding["layers"])}


def _held_against(loss: Loss, spent_us: float, answer: Mapping[str, Any]) -> dict[str, Any]:
    """A loss that a person finds, and Headroom's most valuable finding about it, or its answer to the question."""
    kinds = [one["kind"] for one in answer["findings"]]
    about = next((place for place, kind in enumerate(kinds) if kind in loss.findings), None)
    return {"key": loss.key, "spent_us": spent_us, "finding": about, "answer": _answered(loss, answer["questions"])}


def _answered(loss: Loss, questions: Sequence[Mapping[str, Any]]) -> str:
    """What Headroom says of a loss with figures where it advises no change for it; empty where it says nothing."""
    question = next(one for one in questions if one["number"] == loss.question)
    if loss.purposes is None:
        return question["sentence"] if _FIGURE.search(question["sentence"]) else ""
    rows = (row for table in question["tables"] if table["title"] == _UNASKED for row in table["rows"])
    mine = [row for row in rows if row[0] in loss.purposes]
    return "; ".join(f"{purpose}: {count} launches, {figures.time(time_us)}" for purpose, count, time_us, *_ in mine)


def main() -> None:
    models = read_data_folder() / "models"
    recorded = json.loads((RESULTS / "hta.json").read_text("utf-8"))
    runs = [compared(name, hta, models) for name, hta in recorded["runs"].items()]
    path = write_result("side_by_side", {"gpu": GPU, "runs": runs})
    PAGE.write_text(page(json.loads(path.read_text("utf-8")), recorded), "utf-8")
    print(f"{path}\n{PAGE}")


if __name__ == "__main__":
    main()
