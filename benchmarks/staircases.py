"""Measure the staircases of 30 layers at every eighth width, and search each with a quarter of the measurements.

    python benchmarks/staircases.py DATABASE [--gpu INDEX] [--budget SECONDS] [--dry-run]

Needs a GPU. Fills DATABASE through the stopwatch, every implementation of every width; run again it goes on where it
stopped. Once all widths are there it writes ``results/staircases.json`` and ``docs/staircases-measured.md``: per layer
how far the prediction is off, how well the paper's equation 3 fits, and what the search's choices cost more than the
best, as if it had been alone. The search is played back on the measured times, so that its regret holds the noise of
both. ``--dry-run`` does all this with a fake GPU, three layers and no file written.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headroom.advise.stored import StoredMeasurements
from headroom.change.widths.staircase.reading import read
from headroom.change.widths.staircase.search import regret_pct, search
from headroom.change.widths.staircase.study import Subject, variants_graph
from headroom.change.widths.staircase.table import width_table
from headroom.gpu.sheets import gpu_of_driver, load_gpu
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.measure.fake_script import VARIABLE
from headroom.measure.run import Wishes, measure_graphs
from headroom.store.notebook import Notebook, open_for_measuring
from headroom.store.rows import System
from record import ROOT, write_result
from staircase_layers import CASES, Case

#: What a search may cost, and how far off its choices may be, in percent.
SHARE, REGRET_PCT = 0.25, 1.0

#: Layers of a dry run.
FEW = 2


def main() -> None:
    asked = arguments()
    if asked.dry_run:
        os.environ[VARIABLE] = "fake:" + json.dumps({"plans": 1})
        with tempfile.TemporaryDirectory() as folder:
            rows = measure(Path(folder) / "dry.sqlite", CASES[:FEW], asked.gpu, asked.budget)
        print(page(rows or [], "a GPU that is not there"))
        return
    rows = measure(asked.database, CASES, asked.gpu, asked.budget)
    if rows is None:
        print("not all widths are measured yet: run again")
        return
    write_result("staircases", {"share": SHARE, "regret_pct": REGRET_PCT, "layers": rows})
    (ROOT / "docs" / "staircases-measured.md").write_text(page(rows, rows[0]["system"]))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path, nargs="?", help="where the rows go")
    parser.add_argument("--gpu", type=int, default=0)
    parser.add_argument("--budget", type=float, help="seconds after which no further width is begun")
    parser.add_argument("--dry-run", action="store_true")
    asked = parser.parse_args()
    if asked.database is None and not asked.dry_run:
        parser.error("name the database that the rows go to")
    return asked


def measure(database: Path, cases: tuple[Case, ...], index: int, budget_s: float | None) -> list[dict[str, Any]] | None:
    """A row per layer; ``None`` where some of its widths are still to be measured."""
    with open_for_measuring(database) as records:
        system = fill(records, [(case.subject, case.dtype) for case in cases], index, budget_s)
        return None if system is None else [judge(case, records, system) for case in cases]


def fill(
    records: Notebook, subjects: Sequence[tuple[Subject, DataType]], index: int, budget_s: float | None
) -> System | None:
    """Measure every width that is not known; ``None`` where the budget ended before."""
    left, system = 0, None
    for dtype in dict.fromkeys(dtype for _, dtype in subjects):
        graph = variants_graph("staircases", [subject for subject, its in subjects if its is dtype])
        report = measure_graphs([graph], [dtype], records, gpu=index, wishes=Wishes(fused=False, budget_s=budget_s))
        left, system = left + report.left, report.system
        print(f"{dtype}: {report.measured} measured in {report.wall_s:.0f} s, {report.left} left", flush=True)
    return None if left else system


def judge(case: Case, records: Notebook, system: System) -> dict[str, Any]:
    gpu = sheet_of(system)
    subject, measurements = case.subject, StoredMeasurements(records, system)
    about = (subject.layer, gpu, case.dtype, subject.out_widths, subject.in_widths)
    theory = width_table(*about, source="predicted").staircases[0]
    exhaustive = width_table(*about, measurements=measurements, source="measured").staircases[0]
    known = {point.width: point for point in exhaustive.points}
    found = search(theory, known.get, budget_share=SHARE)
    reading = read(exhaustive)
    truth = width_table(*about, measurements=measurements).staircases[0]
    regrets = regret_pct(found.staircase, truth.latencies_us)
    both = [(point.latency_us, known[point.width].latency_us) for point in theory.points if point.width in known]
    off = [100 * abs(predicted_us / measured_us - 1) for predicted_us, measured_us in both]
    return {
        "name": case.name,
        "conv": case.conv,
        "dtype": str(case.dtype),
        "system": system.title,
        "widths": len(theory.points),
        "latencies_us": {point.width: round(point.latency_us, 3) for point in exhaustive.points},
        "prediction_off_pct": statistics.fmean(off),
        "steps": len(reading.steps),
        "falls": sum(step.rise_pct < 0 for step in reading.steps),
        "equation_3_residual_pct": reading.model.residual_pct,
        "with_constant_residual_pct": reading.model_with_overhead.residual_pct,
        "dominating": [point.width for point in reading.dominating],
        "share": found.share,
        "mean_regret_pct": float(regrets.mean()),
        "worst_regret_pct": float(regrets.max()),
    }


def sheet_of(system: System) -> GpuSpec:
    """The GPU's sheet; the fake borrows an H200's."""
    return gpu_of_driver(system.gpu) or load_gpu("h200")


def page(rows: list[dict[str, Any]], system: str) -> str:
    good = sum(row["mean_regret_pct"] <= REGRET_PCT for row in rows)
    lines = [
        "# Staircases measured",
        "",
        f"{len(rows)} layers at every eighth width from 64 to 512 on {system}. Written by `benchmarks/staircases.py`.",
        f"The search measures at most {100 * SHARE:.0f} % of the widths; its regret is what its choice for each width",
        f"costs more than the best. {good} of {len(rows)} layers have a mean regret of at most {REGRET_PCT:g} %.",
        "",
        "| layer | shape | type | steps (down) | prediction off % | equation 3 off % | with a constant % | measured % "
        "| mean regret % | worst % |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['name']} | `{row['conv']}` | {row['dtype']} | {row['steps']} ({row['falls']}) "
        f"| {row['prediction_off_pct']:.0f} | {row['equation_3_residual_pct']:.0f} "
        f"| {row['with_constant_residual_pct']:.0f} | {100 * row['share']:.0f} | {row['mean_regret_pct']:.2f} "
        f"| {row['worst_regret_pct']:.1f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
