"""How good the stopwatch itself is, on an H200: right, repeatable, quick.

    python benchmarks/h200_stopwatch.py measure OUT_FOLDER [DATA_FOLDER]   (needs the GPU; two to three minutes)
    python benchmarks/h200_stopwatch.py page                               (writes docs/stopwatch-figures.md)

``measure`` runs the self-test; times every plan of ResNet-50's distinct layers, fused, at batch 1 in bf16, and the same
again with nothing left to do; and measures ResNet-50 at batch 32 twice, in new processes and new databases. What it
writes, ``h200_stopwatch.json``, is kept beside the results.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import headroom as hr
from headroom.graph.chain import Chain
from headroom.graph.chains import LONGEST_KERNEL, fusible_chains
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.measure.crew import Crew, default_size
from headroom.measure.plan import plan_tasks
from headroom.measure.sweep import measure_tasks
from headroom.measure.trust import TOLERANCE_SHARE, TOLERANCE_US
from headroom.store.rows import Status
from headroom.store.store import Store
from headroom.store.walk import walk_records
from record import DATA, RESULTS, ROOT

FILE = "h200_stopwatch.json"

#: Promised: resuming with nothing to do, and ResNet-50 fused, in seconds; the parent's share of the workers' time.
PROMISED = {"resumed_s": 1.0, "fused_s": 30.0, "parent_share": 0.05}

H200_BYTES = 140 << 30

#: Promised of two measurements of layers that take at least that many microseconds, in percent.
LONG_US = 20.0
PROMISED_MEDIAN_PCT, PROMISED_P95_PCT = 1.0, 3.0


def measure(out: Path, data: Path) -> None:
    """Run everything and write one file."""
    path = data / "models" / "resnet50.onnx"
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "selftest": _selftest(Path(folder) / "selftest.json"),
            "fused": _fused(hr.load(path, batch=1), Path(folder) / "fused.sqlite"),
            "resumed_s": _resumed_s(path, Path(folder) / "resumed.sqlite"),
            "repeated": _repeated(path, Path(folder)),
        }
    (out / FILE).write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({key: value for key, value in found.items() if key != "selftest"}, indent=1)[:3000])


def _headroom(*words: str) -> float:
    """Wall seconds of a command, its interpreter's start included."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-m", "headroom", *words], check=True)
    return time.monotonic() - begin


def _selftest(file: Path) -> Any:
    _headroom("selftest", "--json", str(file))
    return json.loads(file.read_text())


def _fused(graph: Graph, database: Path) -> dict[str, Any]:
    """Every plan of what a fused run of ``graph`` consists of: whole chains, and the layers that are in none."""
    chains = fusible_chains(graph, LONGEST_KERNEL)
    inside = {index for chain in chains for index in chain}
    parts = [[graph.layers[index] for index in chain] for chain in chains]
    parts += [[layer] for i, layer in enumerate(graph.layers) if i not in inside and layer.kind.does_work]
    wanted = {Chain.of(part).digest for part in parts}
    planned = [item for item in plan_tasks(graph, DataType.BF16) if item.task.chain.digest in wanted]
    begin = time.monotonic()
    with Store.open(database) as store, Crew(size=default_size(H200_BYTES)) as crew:
        report = measure_tasks(planned, store, crew)
    return {
        "wall_s": time.monotonic() - begin,
        "chains": report.measured,
        "rows": sum(report.statuses.values()),
        "parent_share": report.parent_share,
    }


def _resumed_s(path: Path, database: Path) -> float:
    words = ("measure", str(path), "--dtype", "bf16", "--plans", "heuristic", "--no-fused", "--db", str(database))
    _headroom(*words, "--quiet")
    return min(_headroom(*words, "--quiet") for _ in range(3))


def _repeated(path: Path, folder: Path) -> dict[str, Any]:
    """Two independent measurements of the same layers on one GPU."""
    databases = [folder / f"repeated-{number}.sqlite" for number in (1, 2)]
    for database in databases:
        _headroom(
            "measure", str(path), "--batch", "32", "--dtype", "bf16", "--plans", "heuristic", "--db", str(database)
        )
    first, second = (_fastest_us(database) for database in databases)
    layers = [
        {"chain": chain, "l2": l2, "first_us": time_us, "second_us": second[chain, l2]}
        for (chain, l2), time_us in first.items()
        if (chain, l2) in second
    ]
    return {"layers": layers}


def _fastest_us(database: Path) -> dict[tuple[str, str], float]:
    fastest: dict[tuple[str, str], float] = {}
    with Store.open(database, read_only=True) as store, store.database.reading() as connection:
        for record in walk_records(connection, store.systems()[0].system):
            for row in record.timings:
                if row.status is Status.OK and row.median_us is not None:
                    key = record.chain.digest, row.l2
                    fastest[key] = min(fastest.get(key, row.median_us), row.median_us)
    return fastest


def page() -> None:
    found = json.loads((RESULTS / FILE).read_text())
    text = "\n".join([*_head(found), *_selftest_table(found["selftest"]), *_repeat_table(found["repeated"]["layers"])])
    (ROOT / "docs" / "stopwatch-figures.md").write_text(text + "\n")
    print(text)


def _head(found: dict[str, Any]) -> list[str]:
    fused = found["fused"]
    return [
        "# The stopwatch's own figures",
        "",
        "Measured on an H200 by `benchmarks/h200_stopwatch.py`.",
        "",
        "| figure | measured | promised |",
        "|---|---:|---:|",
        f"| ResNet-50, batch 1, bf16: all plans of its {fused['chains']} distinct layers, fused, "
        f"{fused['rows']} rows | {fused['wall_s']:.1f} s | {PROMISED['fused_s']:.0f} s |",
        f"| the same command with nothing to do | {found['resumed_s']:.2f} s | {PROMISED['resumed_s']:.0f} s |",
        f"| parent's share of the workers' time | {fused['parent_share']:.1%} | {PROMISED['parent_share']:.0%} |",
        "",
    ]


def _selftest_table(selftest: dict[str, Any]) -> list[str]:
    lines = ["## Kernels of known duration", "", "| L2 | known us | read us | off by us | allowed us |"]
    lines.append("|---|---:|---:|---:|---:|")
    for row in selftest["durations"]:
        known_us, read_us = row["known_us"], row["read_us"]
        allowed_us = max(TOLERANCE_SHARE * known_us, TOLERANCE_US)
        lines.append(f"| {row['l2']} | {known_us:.1f} | {read_us:.1f} | {read_us - known_us:+.2f} | {allowed_us:.1f} |")
    return [*lines, ""]


def _repeat_table(layers: list[dict[str, Any]]) -> list[str]:
    lines = [
        "## Measured twice",
        "",
        "ResNet-50 at batch 32 in bf16, fastest implementation of each layer and chain, in two runs with new processes",
        f"and new databases. Promised for {LONG_US:.0f} us and more: {PROMISED_MEDIAN_PCT:.0f} % in the median and "
        f"{PROMISED_P95_PCT:.0f} % at the 95th percentile.",
        "",
        "| L2 | length | layers | median difference | 95th percentile |",
        "|---|---|---:|---:|---:|",
    ]
    for l2 in ("warm", "cold"):
        for name, long in ((f"{LONG_US:.0f} us and more", True), (f"under {LONG_US:.0f} us", False)):
            differences = sorted(
                100 * abs(layer["second_us"] / layer["first_us"] - 1)
                for layer in layers
                if layer["l2"] == l2 and (layer["first_us"] >= LONG_US) is long
            )
            if differences:
                p95 = differences[min(len(differences) - 1, round(0.95 * (len(differences) - 1)))]
                median = statistics.median(differences)
                lines.append(f"| {l2} | {name} | {len(differences)} | {median:.2f} % | {p95:.2f} % |")
    return lines


def main() -> None:
    match sys.argv[1:]:
        case ["measure", out]:
            measure(Path(out), DATA)
        case ["measure", out, data]:
            measure(Path(out), Path(data))
        case ["page"]:
            page()
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
