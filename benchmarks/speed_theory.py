"""How fast the theory answers: networks once loaded, and tables of layers up to a million.

    python benchmarks/speed_theory.py [DATA_FOLDER]

Writes ``benchmarks/results/speed_theory.json``; ``benchmarks/speed.py`` puts it into ``docs/speed.md``. Each figure is
the best of three (a million layers are answered once), in a process of its own for tables. Processor seconds count
every thread and child; they depend less on what else the machine does than the wall clock.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import headroom as hr
from headroom.gpu.sheets import load_gpu
from headroom.predict.model import predict_layers
from headroom.predict.table_columns import predict_columns
from record import read_data_folder, write_result
from speed import run_once

RUNS, ONCE_FROM = 3, 1_000_000
SIZES = (10_000, 100_000, 1_000_000)
SORTS = (("h200", "bf16", "conv2d"), ("h200", "bf16", "matmul"), ("titan-xp", "fp32", "conv2d"))
TARGET_MILLION_CORE_S, TARGET_NETWORK_MS = 10.0, 50.0


def layers(count: int, op: str, dtype: str) -> dict[str, Any]:
    """Columns of random layers as networks have them: all different, nothing that could be answered twice."""
    random = np.random.default_rng(1)

    def pick(*values: int) -> Any:
        return random.choice(np.array(values), count)

    if op == "matmul":
        sizes = {"m": pick(128, 512, 2048), "n": pick(256, 768, 1024), "k": pick(64, 256, 768)}
        return {
            "op": op,
            "dtype": dtype,
            **{name: values + random.integers(0, 512, count) for name, values in sizes.items()},
        }
    size, taps = random.integers(7, 113, count), pick(1, 3, 3, 5)
    columns = {
        "n": random.integers(1, 65, count),
        "c": random.integers(16, 513, count),
        "k": random.integers(16, 513, count),
    }
    columns |= {"h": size, "w": size, "r": taps, "s": taps, "padding": taps // 2, "stride": pick(1, 1, 1, 2)}
    return {"op": op, "dtype": dtype, **columns}


def best(run: Callable[[], object], times: int = RUNS) -> tuple[float, float]:
    """Least wall and processor seconds of several runs, children included."""
    wall, spent = [], []
    for _ in range(times):
        start, before = time.perf_counter(), os.times()
        run()
        after = os.times()
        wall.append(time.perf_counter() - start)
        spent.append(sum(after[:4]) - sum(before[:4]))
    return min(wall), min(spent)


def columns_row(gpu: str, dtype: str, op: str, count: int) -> dict[str, Any]:
    columns, spec = layers(count, op, dtype), load_gpu(gpu)
    predict_columns(layers(100, op, dtype), spec)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, spent = best(lambda: predict_columns(columns, spec), 1 if count >= ONCE_FROM else RUNS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _row("arrays", gpu, dtype, op, count, wall, spent, (peak - before) / 1024)


def table_row(gpu: str, dtype: str, op: str, count: int) -> dict[str, Any]:
    columns = {name: np.broadcast_to(np.asarray(v), (count,)) for name, v in layers(count, op, dtype).items()}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "layers.csv"
        lines = map(",".join, zip(*(map(str, values.tolist()) for values in columns.values()), strict=True))
        source.write_text(",".join(columns) + "\n" + "\n".join(lines) + "\n")
        arguments = ["predict", str(source), "--gpu", gpu, "--out", str(Path(folder) / "answer.csv")]
        runs = [run_once(arguments) for _ in range(1 if count >= ONCE_FROM else RUNS)]
    wall, spent, mib = (min(values) for values in zip(*runs, strict=True))
    return _row("CSV to CSV", gpu, dtype, op, count, wall, spent, mib)


def _row(way: str, gpu: str, dtype: str, op: str, count: int, wall: float, spent: float, mib: float) -> dict[str, Any]:
    figures = {"seconds": round(wall, 3), "core_seconds": round(spent, 3), "mib": round(mib, 1)}
    return {"way": way, "gpu": gpu, "dtype": dtype, "op": op, "layers": count, **figures}


def network_row(model: Path, gpu: str, dtype: str) -> dict[str, Any]:
    graph, spec = hr.load(model), load_gpu(gpu)
    every = [configuration.layer for configuration in graph.configurations]
    ways: dict[str, Callable[[], object]] = {
        "predict_ms": lambda: predict_layers(every, spec, hr.DataType(dtype)),
        "analyze_ms": lambda: hr.analyze(graph, spec, dtype, source="predicted"),
    }
    figures = {}
    for name, run in ways.items():
        run()
        figures[name] = round(1e3 * best(run)[1], 1) if name == "analyze_ms" else round(1e3 * _fine(run), 2)
    return {"model": model.stem, "layers": len(graph.layers), "distinct": len(every), **figures}


def _fine(run: Callable[[], object]) -> float:
    """Least processor seconds, with the finer clock that knows this process alone."""
    spent = []
    for _ in range(2 * RUNS):
        start = time.process_time()
        run()
        spent.append(time.process_time() - start)
    return min(spent)


def main() -> None:
    if sys.argv[1:2] == ["--row"]:
        way, gpu, dtype, op, count = sys.argv[2:]
        print(json.dumps((columns_row if way == "arrays" else table_row)(gpu, dtype, op, int(count))))
        return
    models = sorted((read_data_folder() / "models").glob("*.onnx"))
    networks = [network_row(model, "h200", "bf16") for model in models]
    tables = []
    for way, sorts in (("arrays", SORTS), ("table", SORTS[:1])):
        for sort in sorts:
            for count in SIZES:
                command = [sys.executable, __file__, "--row", way, *sort, str(count)]
                tables.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
                print(tables[-1], flush=True)
    write_result("speed_theory", {"networks": networks, "tables": tables, "load": round(os.getloadavg()[0], 1)})
    late = [row for row in tables if row["way"] == "arrays" and row["core_seconds"] > TARGET_MILLION_CORE_S]
    slow = [row["model"] for row in networks if row["predict_ms"] > TARGET_NETWORK_MS]
    if late or slow:
        raise SystemExit(f"over the target: {late} {slow}")


if __name__ == "__main__":
    main()
