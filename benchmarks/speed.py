"""How long ``headroom analyze`` takes and how much memory, on every shared model; and the page about speed.

    python benchmarks/speed.py [DATA_FOLDER]

Writes ``benchmarks/results/speed.json``, and ``docs/speed.md`` from it and from what ``benchmarks/speed_theory.py``
wrote. Times are of the whole command, the interpreter's start included; memory is the largest
resident set of any of its processes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from record import RESULTS, ROOT, read_data_folder, write_result

TARGET_S, TARGET_RESNET152_S, TARGET_MIB = 10.0, 3.0, 500.0


def run_once(arguments: list[str]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds (children included) and peak MiB of ``headroom`` with ``arguments``."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "headroom", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"headroom {' '.join(arguments)} failed with {process.returncode}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure(model: Path, folder: Path) -> dict[str, Any]:
    """One model, with every output that a user can ask for."""
    outputs = [f"--{kind}={folder / kind}" for kind in ("json", "html", "csv", "trace")]
    seconds, spent, mib = run_once(["analyze", str(model), "--gpu", "h200", *outputs])
    figures = {"seconds": round(seconds, 3), "core_seconds": round(spent, 3), "peak_mib": round(mib, 1)}
    return {"model": model.stem, **figures}


def page(commands: dict[str, Any], theory: dict[str, Any]) -> str:
    return "\n".join([*_theory(theory), *_commands(commands)]) + "\n"


def _theory(content: dict[str, Any]) -> list[str]:
    """Networks once loaded, and tables of layers."""
    networks = {row["model"]: row for row in content["networks"]}
    slowest = max(networks.values(), key=lambda row: row["predict_ms"])
    lines = [
        "# Speed and size",
        "",
        "Written by `benchmarks/speed.py` and `benchmarks/speed_theory.py`, without a GPU. Processor seconds count "
        "every thread and process; on an idle machine one core's are the wall clock. The wall clock here is that of a "
        f"machine with two cores that did other things as well (load {content['load']:g}).",
        "",
        "## Layers by the million",
        "",
        "All layers are different. *Arrays* is `headroom.predict.table_columns.predict_columns`, *CSV to CSV* is what "
        "`headroom predict` does: read, check, predict and write. Memory is what the answer adds for arrays, and "
        "that of the largest of the processes for tables.",
        "",
        "| way | GPU, type | layers | processor s | per million | wall s | MiB |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in content["tables"]:
        per_million = row["core_seconds"] / row["layers"] * 1e6
        lines.append(
            f"| {row['way']} | {row['gpu']}, {row['dtype']} {row['op']} | {row['layers']:,} | "
            f"{row['core_seconds']:.2f} | {per_million:.1f} | {row['seconds']:.2f} | {row['mib']:.0f} |"
        )
    lines += [
        "",
        "Designs per second of `headroom explore` are in [explore.md](explore.md).",
        "",
        "## A network once loaded",
        "",
        "Processor milliseconds for H200, bf16. *Predicted* is the time of every layer, with its error bar, bottleneck "
        f"and traffic (slowest: {slowest['model']}, {slowest['predict_ms']:.1f} ms); *analysed* adds the bounds in "
        "every data type and the advisor's eight questions.",
        "",
        "| model | layers | distinct | predicted ms | analysed ms |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['model']} | {row['layers']} | {row['distinct']} | {row['predict_ms']:.1f} | {row['analyze_ms']:.0f} |"
        for row in content["networks"]
    ]
    return [*lines, ""]


def _commands(content: dict[str, Any]) -> list[str]:
    rows = content["rows"]
    slowest = max(rows, key=lambda row: row["core_seconds"])
    largest = max(rows, key=lambda row: row["peak_mib"])
    lines = [
        "## `headroom analyze` as a command",
        "",
        "The interpreter's start, the model's reading and every output included.",
        "",
        f"Costliest: {slowest['model']}, {slowest['core_seconds']:.2f} processor seconds. "
        f"Largest: {largest['model']}, {largest['peak_mib']:.0f} MiB.",
        "",
        "| model | wall s | processor s | peak MiB |",
        "|---|---:|---:|---:|",
    ]
    lines += [
        f"| {row['model']} | {row['seconds']:.2f} | {row['core_seconds']:.2f} | {row['peak_mib']:.0f} |" for row in rows
    ]
    return lines


def main() -> None:
    models = sorted((read_data_folder() / "models").glob("*.onnx"))
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(model, Path(folder)) for model in models]
    write_result("speed", {"rows": rows})
    theory = json.loads((RESULTS / "speed_theory.json").read_text())
    (ROOT / "docs" / "speed.md").write_text(page({"rows": rows}, theory))
    print(page({"rows": rows}, theory))
    late = [row["model"] for row in rows if row["core_seconds"] > TARGET_S or row["peak_mib"] > TARGET_MIB]
    resnet = next(row for row in rows if row["model"] == "resnet152")
    if late or resnet["core_seconds"] > TARGET_RESNET152_S:
        raise SystemExit(f"over the target: {late or ['resnet152']}")


if __name__ == "__main__":
    main()
