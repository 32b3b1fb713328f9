"""How good the stopwatch itself is, on an H200: right, repeatable, quick.

    python benchmarks/h200_stopwatch.py measure OUT_FOLDER [DATA_FOLDER]   (needs the GPU; two to three minutes)
    python benchmarks/h200_stopwatch.py add FILE STATE                     (keeps what was measured beside the results)
    python benchmarks/h200_stopwatch.py page                               (writes docs/stopwatch-figures.md)

``measure`` runs the self-test; times every plan of ResNet-50's distinct layers, fused, at batch 1 in bf16, and the same
again with nothing left to do; and measures ResNet-50 at batch 32 twice, in new processes and new databases. ``add``
takes the ``h200_stopwatch.json`` that it wrote, with what the host did meanwhile: STATE is ``idle``, which the promises
are about, or says in a few words what ran on its other GPUs.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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

#: The state of a host that does nothing else: what promises are judged by.
IDLE = "idle"

Run = dict[str, Any]

#: Promised of two measurements of layers that take at least that many microseconds, in percent.
LONG_US = 20.0
PROMISED_MEDIAN_PCT, PROMISED_P95_PCT = 1.0, 3.0


def measure(out: Path, data: Path) -> None:
    """Run everything and write one file."""
    path = data / "models" / "resnet50.onnx"
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "host": {"cores": os.cpu_count(), "load_before": os.getloadavg()[0]},
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


def add(file: Path, state: str) -> None:
    """Keep a run beside the others, in place of an earlier one in the same state; the idle one comes first."""
    new = json.loads(file.read_text())
    runs = [run for run in _runs() if run["host"]["state"] != state]
    runs.append({**new, "host": {**new.get("host", {}), "state": state}})
    runs.sort(key=lambda run: run["host"]["state"] != IDLE)
    (RESULTS / FILE).write_text(json.dumps({"runs": runs}, indent=1) + "\n")


def _runs() -> list[Run]:
    path = RESULTS / FILE
    runs: list[Run] = json.loads(path.read_text())["runs"] if path.exists() else []
    return runs


def page() -> None:
    runs = _runs()
    lines = [*_head(runs), *_selftest_table(runs), *_repeat_table(runs)]
    (ROOT / "docs" / "stopwatch-figures.md").write_text("\n".join([*lines, ""]))
    print("\n".join(lines))


def _head(runs: list[Run]) -> list[str]:
    first = runs[0]["fused"]
    return [
        "# The stopwatch's own figures",
        "",
        "Measured on an H200 by `benchmarks/h200_stopwatch.py`. Each run had a GPU to itself; its column says what",
        "else the host did. What is promised is promised of an idle one.",
        "",
        *_table_head(["figure", "promised"], runs, [_state(run) for run in runs]),
        _row(
            f"ResNet-50, batch 1, bf16: all plans of its {first['chains']} layers, fused, {first['rows']} rows",
            f"{PROMISED['fused_s']:.0f} s",
            *(f"{run['fused']['wall_s']:.1f} s" for run in runs),
        ),
        _row(
            "its layers by the heuristics' plans, with nothing to do",
            f"{PROMISED['resumed_s']:.0f} s",
            *(f"{run['resumed_s']:.2f} s" for run in runs),
        ),
        _row(
            "parent's share of the workers' time",
            f"{PROMISED['parent_share']:.0%}",
            *(f"{run['fused']['parent_share']:.1%}" for run in runs),
        ),
        "",
    ]


def _selftest_table(runs: list[Run]) -> list[str]:
    lines = ["## Kernels of known duration", "", "Read less known, microseconds.", ""]
    lines += _table_head(["L2", "known us", "allowed"], runs, [_state(run) for run in runs])
    for rows in zip(*(run["selftest"]["durations"] for run in runs), strict=True):
        known_us = rows[0]["known_us"]
        allowed_us = max(TOLERANCE_SHARE * known_us, TOLERANCE_US)
        off_us = (f"{row['read_us'] - row['known_us']:+.2f}" for row in rows)
        lines.append(_row(rows[0]["l2"], f"{known_us:.0f}", f"{allowed_us:.1f}", *off_us))
    return [*lines, ""]


def _repeat_table(runs: list[Run]) -> list[str]:
    lines = [
        "## Measured twice",
        "",
        "ResNet-50 at batch 32 in bf16, fastest implementation of each layer and chain, in two runs with new processes",
        "and new databases: how far the second is from the first, in the median and at the 95th percentile. Promised",
        f"for {LONG_US:.0f} us and more: {PROMISED_MEDIAN_PCT:.0f} % and {PROMISED_P95_PCT:.0f} %.",
        "",
    ]
    titles = [f"layers, {_state(run)} | median | 95th percentile" for run in runs]
    lines += _table_head(["L2", "length"], runs, titles, columns=3)
    for l2 in ("warm", "cold"):
        for length, long in ((f"{LONG_US:.0f} us and more", True), (f"under {LONG_US:.0f} us", False)):
            lines.append(_row(l2, length, *_repeated_cells(runs, l2, long)))
    return lines


def _repeated_cells(runs: list[Run], l2: str, long: bool) -> Iterator[str]:
    for run in runs:
        differences = sorted(
            100 * abs(layer["second_us"] / layer["first_us"] - 1)
            for layer in run["repeated"]["layers"]
            if layer["l2"] == l2 and (layer["first_us"] >= LONG_US) is long
        )
        yield str(len(differences))
        yield f"{statistics.median(differences):.2f} %" if differences else ""
        yield f"{differences[round(0.95 * (len(differences) - 1))]:.2f} %" if differences else ""


def _state(run: Run) -> str:
    state: str = run["host"]["state"]
    return f"{state} host" if state == IDLE else state


def _table_head(left: list[str], runs: list[Run], titles: list[str], columns: int = 1) -> list[str]:
    return [_row(*left, *titles), "|" + "---|" * len(left) + "---:|" * (columns * len(runs))]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    match sys.argv[1:]:
        case ["measure", out]:
            measure(Path(out), DATA)
        case ["measure", out, data]:
            measure(Path(out), Path(data))
        case ["add", file, state]:
            add(Path(file), state)
        case ["page"]:
            page()
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
