"""Measure the staircases of 30 layers at every eighth width, and search each with a quarter of the measurements.

    python benchmarks/staircases.py DATABASE [--measure] [--budget SECONDS] [--dry-run]

Writes ``results/staircases.json``, ``docs/staircases-measured.md`` and ``docs/charts/staircases.html`` from the rows in
DATABASE: per layer how far the prediction is off, how well the paper's equation 3 fits, which steps there are, and of a
layer that is measured at every width what the search's choices cost more than the best, as if it had been alone. The
search is played back on the measured times, so that its regret holds the noise of both. ``--measure`` fills DATABASE
first, on every GPU that CUDA shows (``staircase_sweep.py``); run again it goes on where it stopped. ``--dry-run`` does
that for a few layers on fake GPUs and prints the page.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headroom.change.widths.staircase.reading import Reading
from headroom.change.widths.staircase.search import regret_pct, search
from headroom.gpu.sheets import load_gpu
from headroom.store.default import open_for_reading
from record import ROOT, write_result
from staircase_drawing import Drawn, charts_page, draw, section
from staircase_layers import CASES, Case
from staircase_sweep import FAKE_GPUS, fake_machine, fill

#: What a search may cost, and how far off its choices may be, in percent.
SHARE, REGRET_PCT = 0.25, 1.0

SUBJECTS = tuple((case.subject, case.dtype) for case in CASES)

#: Layers of a dry run.
FEW_CASES = CASES[:2]
FEW = SUBJECTS[:2]

GPU = "h200"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path, nargs="?", help="where the rows are, and go to")
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--budget", type=float, help="seconds that measuring may take in all")
    parser.add_argument("--dry-run", action="store_true")
    asked = parser.parse_args()
    if asked.dry_run:
        dry_run(asked.budget)
        return
    if asked.database is None:
        parser.error("name the database that the rows are in")
    if asked.measure:
        fill(Path(__file__).stem, asked.database, asked.budget)
    drawn = drawn_from(asked.database, CASES)
    rows = [judge(*each) for each in drawn]
    write_result("staircases", {"share": SHARE, "regret_pct": REGRET_PCT, "layers": rows})
    (ROOT / "docs" / "staircases-measured.md").write_text(page(rows))
    (ROOT / "docs" / "charts" / "staircases.html").write_text(interactive(drawn))


def dry_run(budget_s: float | None) -> None:
    # The fake passes for the GPU whose staircases these are.
    with fake_machine(gpus=["NVIDIA H200"] * FAKE_GPUS) as database:
        fill(f"{Path(__file__).stem}:FEW", database, budget_s)
        print(page([judge(*each) for each in drawn_from(database, FEW_CASES)]))


def drawn_from(database: Path, cases: Sequence[Case]) -> list[tuple[Case, Drawn]]:
    with open_for_reading(database) as store:
        return [(case, draw(case.name, case.subject, case.dtype, GPU, store)) for case in cases]


def judge(case: Case, drawn: Drawn) -> dict[str, Any]:
    """What the rows show of a layer so far."""
    widths = len(drawn.predicted.staircase.points)
    about = {"name": case.name, "conv": case.conv, "dtype": str(case.dtype), "widths": widths}
    if drawn.measured is None:
        return {**about, "measured": 0}
    curve = drawn.measured.staircase
    found = {
        **about,
        "measured": len(curve.points),
        "latencies_us": {point.width: round(point.latency_us, 3) for point in curve.points},
        "prediction_off_pct": drawn.off_pct,
        "steps": [[step.last, step.first, round(step.rise_pct, 1)] for step in drawn.measured.steps],
        "equation_3_residual_pct": drawn.measured.model.residual_pct,
        "with_constant_residual_pct": drawn.measured.model_with_overhead.residual_pct,
        "intervals_residual_pct": intervals_off_pct(drawn.measured),
        "dominating": [point.width for point in drawn.measured.dominating],
    }
    return found if len(curve.points) < widths else {**found, **searched(drawn)}


def intervals_off_pct(reading: Reading) -> float:
    """Mean distance of the measured points from the steady and growing intervals that were read off them."""
    off = []
    for point in reading.staircase.points:
        interval = next(each for each in reading.intervals if each.first <= point.width <= each.last)
        along = (point.width - interval.first) / max(interval.last - interval.first, 1)
        off.append(
            abs(interval.first_us + along * (interval.last_us - interval.first_us) - point.latency_us)
            / point.latency_us
        )
    return 100 * sum(off) / len(off)


def searched(drawn: Drawn) -> dict[str, Any]:
    """What the search would have found with a quarter of the measurements, of a layer that has them all."""
    assert drawn.measured is not None
    truth = drawn.measured.staircase
    found = search(drawn.predicted.staircase, {point.width: point for point in truth.points}.get, budget_share=SHARE)
    regrets = regret_pct(found.staircase, truth.latencies_us)
    return {
        "share": found.share,
        "mean_regret_pct": float(regrets.mean()),
        "worst_regret_pct": float(regrets.max()),
    }


def page(rows: Sequence[dict[str, Any]]) -> str:
    whole = [row for row in rows if "share" in row]
    good = sum(row["mean_regret_pct"] <= REGRET_PCT for row in whole)
    widths, measured = (sum(row[name] for row in rows) for name in ("widths", "measured"))
    lines = [
        "# Staircases measured",
        "",
        f"{len(rows)} layers at every eighth width from 64 to 512 on an {load_gpu(GPU).name}:",
        f"{measured} of {widths} widths have a time so far. Written by `benchmarks/staircases.py`; the",
        "[interactive page](charts/staircases.html) has every point, predicted beside measured. At both ends and at",
        "multiples of 128 every implementation is tried, between them those that were within 30 % of the best there,",
        "which [loses little](likely-plans.md).",
        "",
        "*Prediction*: mean distance of the theory from the measurements. *Steps*: jumps that the change-point method",
        "reads off the measured points, and how many of them go down; *intervals*: mean distance of the points from",
        "the steady and growing intervals between them. *Equation 3*: mean residual of the paper's model, and with a",
        "constant added. The search measures at most "
        f"{100 * SHARE:.0f} % of the widths; its *regret* is what its choice for each width costs",
        "more than the best.",
        "",
        f"Of {len(whole)} layers measured at every width {good} have a mean regret of at most {REGRET_PCT:g} %.",
        "",
        "| layer | shape | type | widths | prediction % | steps (down) | largest | intervals % | equation 3 % "
        "| with a constant % | mean regret % | worst % |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    return "\n".join([*lines, *map(line, rows)]) + "\n"


def line(row: dict[str, Any]) -> str:
    cells = [row["name"], f"`{row['conv']}`", row["dtype"], f"{row['measured']} of {row['widths']}"]
    if "steps" in row:
        rises = [rise for _, _, rise in row["steps"]]
        cells += [
            f"{row['prediction_off_pct']:.0f}",
            f"{len(rises)} ({sum(rise < 0 for rise in rises)})",
            f"{max(rises, key=abs, default=0.0):+.0f} %",
            f"{row['intervals_residual_pct']:.1f}",
            f"{row['equation_3_residual_pct']:.0f}",
            f"{row['with_constant_residual_pct']:.0f}",
        ]
    if "share" in row:
        cells += [f"{row['mean_regret_pct']:.2f}", f"{row['worst_regret_pct']:.1f}"]
    return "| " + " | ".join([*cells, *["–"] * (12 - len(cells))]) + " |"


def interactive(drawn: Sequence[tuple[Case, Drawn]]) -> str:
    sections = [
        section(f"s{number}", f"{case.name}, {case.dtype}", case.conv, [each])
        for number, (case, each) in enumerate(drawn)
    ]
    return charts_page("Staircases of 30 layers", load_gpu(GPU), sections)


if __name__ == "__main__":
    main()
