"""Sums of warm and of cold layer times beside what whole networks take: which state of the L2 cache is honest?

    python benchmarks/cache_state.py [DATA_FOLDER]

Reads ``results/network_bounds.jsonl`` and the package's database; writes ``results/cache_state.json`` and
``docs/cache-state.md``. Nothing is measured here. Networks of whose fused bound less than :data:`LEAST_MEASURED` rests
on measurements are left out.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import bound_networks
import headroom as hr
from network_bounds import FILE, read
from record import DATA, RESULTS, ROOT, write_result

#: A run in a CUDA graph, one kernel per layer or more, and a compiled one: what stands beside which bound.
RUNS = {"channels-last cuda-graph": "sequential_us", "channels-last compile reduce-overhead": "fused_us"}

LEAST_MEASURED = 0.95


def rows_of(data: Path) -> list[dict[str, Any]]:
    """One row per network, batch, data type and kind of run, with both sums."""
    rows = []
    for run in read(RESULTS / FILE):
        bound, name = RUNS.get(run["mode"]), run["model"].partition(":")[2]
        if bound is None or run["status"] != "ok":
            continue
        graph = hr.load(data / "models" / bound_networks.BOUNDS[name], batch=run["batch"])
        warm, cold = (hr.analyze(graph, "h200", run["dtype"], l2=l2).bounds for l2 in ("warm", "cold"))
        if (warm.fused_measured_share or 0.0) < LEAST_MEASURED:
            continue
        sums = {"warm_us": getattr(warm, bound), "cold_us": getattr(cold, bound)}
        keys = {key: run[key] for key in ("batch", "dtype", "mode")}
        rows.append({"network": name, **keys, "run_us": run["median_us"], **sums})
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Per kind of run: the least and the median ratio to each sum."""
    result: dict[str, Any] = {}
    for mode in RUNS:
        group = [row for row in rows if row["mode"] == mode]
        for state in ("warm_us", "cold_us"):
            ratios = [row["run_us"] / row[state] for row in group]
            result.setdefault(mode, {})[state] = {
                "networks": len(ratios),
                "least": min(ratios),
                "median": statistics.median(ratios),
            }
    return result


def text(rows: list[dict[str, Any]], figures: dict[str, Any]) -> str:
    compiled = figures["channels-last compile reduce-overhead"]
    warm, cold = compiled["warm_us"], compiled["cold_us"]
    lines = [
        "# Warm or cold: sums of layers beside whole networks",
        "",
        "Networks as PyTorch runs them on an H200, channels-last, beside the sums of the fastest implementations of",
        "their layers, timed with a warm and with a cold L2 cache. A run in a CUDA graph stands beside the sequential",
        "sum, a compiled one (reduce-overhead) beside the fused one. Networks of whose fused bound less than",
        f"{LEAST_MEASURED:.0%} is measured are left out. Written by `benchmarks/cache_state.py`.",
        "",
        f"The {warm['networks']} compiled runs take {warm['median']:.2f} times the warm sum and",
        f"{cold['median']:.2f} times the cold sum in the median, and at least {warm['least']:.2f} and "
        f"{cold['least']:.2f} times.",
        "So the cold sum is the nearer guess, and the warm one the bound: that is why it is the default.",
        "",
        "| network | batch | data type | run | us | warm sum | cold sum | run / warm | run / cold |",
        "|---|---:|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        kind = "compiled" if "compile" in row["mode"] else "CUDA graph"
        run_us, warm_us, cold_us = row["run_us"], row["warm_us"], row["cold_us"]
        lines.append(
            f"| {row['network']} | {row['batch']} | {row['dtype']} | {kind} | {run_us:.0f} | {warm_us:.0f} | "
            f"{cold_us:.0f} | {run_us / warm_us:.2f} | {run_us / cold_us:.2f} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    rows = rows_of(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
    figures = summary(rows)
    write_result("cache_state", {"summary": figures, "rows": rows})
    (ROOT / "docs" / "cache-state.md").write_text(text(rows, figures))
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
