"""Benanza's totals beside ours: how far they are apart, as tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

WORST = 10

#: What counts as met: the share by which ours may differ.
MET = 1e-3

#: Published times have six digits after the point, in ms: of the shortest network, 1.4 in 100,000.
ROUNDING = 2e-5


def summarise(totals: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per kind of total, of models whose convolutions are all published: how many there are, are told and are met."""
    found = []
    for choice in ("best_measured", "cudnn_advised"):
        for strategy in ("serial", "parallel"):
            rows = [
                row for row in totals if (row["choice"], row["strategy"], row["complete"]) == (choice, strategy, True)
            ]
            errors = sorted(errors_of(rows))
            found.append(
                {
                    "total": f"{strategy}, {choice.partition('_')[0 if choice == 'best_measured' else 2]}",
                    "published": len(rows),
                    "told": len(errors),
                    "met": sum(error < MET for error in errors),
                    "median_error": median(errors),
                    "error_of_19_in_20": errors[int(0.95 * (len(errors) - 1))] if errors else 0.0,
                    "worst_error": max(errors, default=0.0),
                }
            )
    return found


def run_of(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["model"], row["gpu"], row["batch"]


def error(row: dict[str, Any], ours: str = "ours_us") -> float:
    return abs(row[ours] / row["published_us"] - 1)


def errors_of(rows: Iterable[dict[str, Any]], ours: str = "ours_us") -> list[float]:
    return [error(row, ours) for row in rows if row[ours] is not None]


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


def within(errors: Sequence[float]) -> str:
    """``0, 0.31 %``: median and worst."""
    return f"{percent(median(errors))}, {percent(max(errors))}" if errors else "–"


def percent(share: float) -> str:
    """``0.31 %``; an error that Benanza's own rounding makes is 0."""
    return "0" if share < ROUNDING else f"{100 * share:.2g} %"


def groups(rows: list[dict[str, Any]]) -> dict[tuple[str, int], list[dict[str, Any]]]:
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row["gpu"], row["batch"])):
        found.setdefault((row["gpu"], row["batch"]), []).append(row)
    return found


def headline(summary: list[dict[str, Any]]) -> str:
    lines = [
        [
            row["total"], str(row["published"]), str(row["told"]), str(row["met"]), percent(row["median_error"]),
            percent(row["error_of_19_in_20"]), percent(row["worst_error"]),
        ]
        for row in summary
    ]  # fmt: skip
    header = ("total", "published", "told", "met", "median error", "19 of 20 within", "worst")
    return markdown(header, lines)


def best_table(rows: list[dict[str, Any]]) -> str:
    """Errors per GPU and batch as median and worst; the last columns are of the models that lack a convolution."""
    lines = []
    for (gpu, batch), group in groups(rows).items():
        cells = [gpu, str(batch)]
        for complete in (True, False):
            for strategy in ("serial", "parallel"):
                chosen = [row for row in group if row["strategy"] == strategy and row["complete"] == complete]
                cells.append(within(errors_of(chosen)))
                if complete and strategy == "parallel":
                    cells.append(within(errors_of(chosen, "plain_us")))
        lines.append(cells)
    header = (
        "GPU", "batch", "serial", "parallel", "our critical path", "serial, incomplete", "parallel, incomplete",
    )  # fmt: skip
    return "Each cell: median error, worst error; 0 is within the rounding of what was published.\n\n" + markdown(
        header, lines
    )


def advised_table(rows: list[dict[str, Any]]) -> str:
    lines = []
    for (gpu, batch), group in groups(rows).items():
        serial = [row for row in group if row["strategy"] == "serial"]
        parallel = [row for row in group if row["strategy"] == "parallel"]
        told = errors_of(serial)
        lines.append([gpu, str(batch), f"{len(told)} of {len(serial)}", within(told), within(errors_of(parallel))])
    header = ("GPU", "batch", "serial totals told", "serial", "parallel")
    return "Each of the last two cells: median error, worst error.\n\n" + markdown(header, lines)


def worst_of(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted((row for row in rows if row["ours_us"] is not None), key=error, reverse=True)[:WORST]


def worst_table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        [
            row["model"], row["gpu"], str(row["batch"]), row["strategy"], f"{row['published_us']:,.1f}",
            f"{row['ours_us']:,.1f}", f"{100 * (row['ours_us'] / row['published_us'] - 1):+.2f} %", _reason(row),
        ]
        for row in rows
    ]  # fmt: skip
    return markdown(("model", "GPU", "batch", "total", "published µs", "ours µs", "error", "why"), lines)


def _reason(row: dict[str, Any]) -> str:
    if row["another_run"]:
        return f"another run, whose layers add up to {percent(row['rows_differ'])} more or less"
    if row["how"] == "another run's algorithms":
        return "the advised algorithms' times are another run's"
    if row["how"] == "all serial totals":
        return "which convolution the advised algorithm slows is not told by the serial totals"
    return "rounding of the published total"


def models_table(models: list[dict[str, Any]]) -> str:
    gpus = sorted({row["gpu"] for row in models if "gpu" in row})
    found: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    refused = []
    for row in models:
        if "refusal" in row:
            refused.append(f"`{row['model']}` takes no batch of {row['batch']}.")
        else:
            found.setdefault((row["model"], row["batch"]), {})[row["gpu"]] = row
    lines = [
        [
            model, str(batch), str(next(iter(rows.values()))["layers"]),
            *(f"{rows[g]['measured_layers']}, {100 * rows[g]['measured_time_share']:.1f} %" for g in gpus),
        ]
        for (model, batch), rows in found.items()
    ]  # fmt: skip
    table = markdown(("model", "batch", "working layers", *(f"measured on {gpu}" for gpu in gpus)), lines)
    return "\n\n".join([table, *(["\n".join(refused)] if refused else [])])


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
