"""How long ``headroom analyze`` takes and how much memory, on every shared model.

    python benchmarks/speed.py [DATA_FOLDER]

Writes ``benchmarks/results/speed.json`` and ``docs/speed.md``. Times are the wall clock of the whole command, the
interpreter's start included, the median of three runs; memory is the largest resident set of any of its processes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from record import ROOT, read_data_folder, write_result

RUNS = 3
TARGET_S, TARGET_RESNET152_S, TARGET_MIB = 10.0, 3.0, 500.0


def run_once(arguments: list[str]) -> tuple[float, float]:
    """Wall seconds and peak MiB of ``headroom`` with ``arguments``."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "headroom", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"headroom {' '.join(arguments)} failed with {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def measure(model: Path, folder: Path) -> dict[str, Any]:
    """One model, with every output that a user can ask for."""
    outputs = [f"--{kind}={folder / kind}" for kind in ("json", "html", "csv", "trace")]
    runs = [run_once(["analyze", str(model), "--gpu", "h200", *outputs]) for _ in range(RUNS)]
    return {
        "model": model.stem,
        "seconds": round(statistics.median(seconds for seconds, _ in runs), 3),
        "slowest_seconds": round(max(seconds for seconds, _ in runs), 3),
        "peak_mib": round(max(mib for _, mib in runs), 1),
    }


def table(rows: list[dict[str, Any]]) -> str:
    slowest = max(rows, key=lambda row: row["slowest_seconds"])
    largest = max(rows, key=lambda row: row["peak_mib"])
    lines = [
        "# Speed and size of `headroom analyze`",
        "",
        "The whole command with every output written, on two cores without a GPU. Written by `benchmarks/speed.py`.",
        "",
        f"Slowest single run: {slowest['model']}, {slowest['slowest_seconds']:.2f} s. "
        f"Largest: {largest['model']}, {largest['peak_mib']:.0f} MiB.",
        "",
        "| model | median s | slowest s | peak MiB |",
        "|---|---:|---:|---:|",
    ]
    lines += [
        f"| {row['model']} | {row['seconds']:.2f} | {row['slowest_seconds']:.2f} | {row['peak_mib']:.0f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    models = sorted((read_data_folder() / "models").glob("*.onnx"))
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(model, Path(folder)) for model in models]
    write_result("speed", {"rows": rows})
    (ROOT / "docs" / "speed.md").write_text(table(rows))
    print(table(rows))
    late = [row["model"] for row in rows if row["slowest_seconds"] > TARGET_S or row["peak_mib"] > TARGET_MIB]
    resnet = next(row for row in rows if row["model"] == "resnet152")
    if late or resnet["slowest_seconds"] > TARGET_RESNET152_S:
        raise SystemExit(f"over the target: {late or ['resnet152']}")


if __name__ == "__main__":
    main()
