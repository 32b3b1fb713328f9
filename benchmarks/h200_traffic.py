"""Bytes at L1, L2 and DRAM of convolutions and products on an H200, counted by the hardware beside the theory's.

    python benchmarks/h200_traffic.py measure OUT_FOLDER [--dtype bf16,fp32] [--limit SECONDS] [--dry-run]
    python benchmarks/h200_traffic.py page OUT_FOLDER

``measure`` needs the GPU, PyTorch and ``ncu``; it ends at its limit and goes on where it stopped. ``page`` copies the
rows to ``benchmarks/results/h200_traffic.jsonl`` and writes ``docs/traffic.md`` from them and from today's theory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from counted_layers import Point, arguments, run
from delta_study.networks import NETWORKS, layer_of, unique
from headroom.gpu.sheets import load_gpu
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Matmul
from headroom.predict.model import predict_layers
from headroom.predict.prediction import Prediction
from record import ROOT

NAME = "h200_traffic"
PAGE = ROOT / "docs" / "traffic.md"
GPU = load_gpu("h200")

#: Samples per convolution, as the paper has it: half of the footprints then exceed twice the L2.
BATCH = 256

#: DRAM traffic is judged where operands and result together are at least this many times the L2.
LEAST_FOOTPRINT = 2.0

#: Rows, columns and depth of products: projections and feed-forward layers of transformers, and squares.
TOKENS = (512, 2048, 8192, 32768)
WEIGHTS = (
    (768, 768), (3072, 768), (768, 3072), (2304, 768), (4096, 4096), (11008, 4096), (4096, 11008), (5120, 5120),
    (1000, 2048), (30522, 768),
)  # fmt: skip
SQUARES, BATCHED = (1024, 2048, 4096, 8192), ((64, 512, 512, 64), (256, 1024, 1024, 64), (256, 1024, 64, 1024))

#: Aims, in percent, by level.
TARGETS = {"l1": 7.0, "l2": 6.0, "dram": 5.0}


def points(dtype: DataType) -> Iterator[Point]:
    """At least 60 convolutions (the unique ones of four networks) and 40 products."""
    for network, build in NETWORKS.items():
        for found in unique(build()):
            name = f"{network} {found.name}"
            layer = layer_of(name, replace(found.conv, batch=BATCH))
            yield Point(f"{name} {dtype}", "convolution", layer, dtype)
    sizes = [(1, m, n, k) for m in TOKENS for n, k in WEIGHTS]
    sizes += [(1, size, size, size) for size in SQUARES] + list(BATCHED)
    for batch, m, n, k in sizes:
        yield Point(f"matmul {batch}x{m}x{n}x{k} {dtype}", "matmul", product(batch, m, n, k), dtype)


def product(batch: int, m: int, n: int, k: int) -> Layer:
    """A product with a weight, or a batch of products of two operands."""
    lead = () if batch == 1 else (batch,)
    a, b, out = (TensorSpec(name, (*lead, *size)) for name, size in (("a", (m, k)), ("b", (k, n)), ("c", (m, n))))
    inputs, weights = ((a,), (b,)) if batch == 1 else ((a, b), ())
    return Layer("matmul", "MatMul", Matmul(m, n, k, batch), inputs, weights, (out,))


def gmae(ratios: Sequence[float]) -> float:
    """Geometric mean absolute error in percent: the mean factor by which predictions are off, either way."""
    return 100.0 * (math.exp(float(np.mean(np.abs(np.log(ratios))))) - 1.0)


def judged(
    rows: Sequence[dict[str, Any]], by_key: dict[str, Point], found: dict[str, Prediction]
) -> list[dict[str, Any]]:
    """Counted rows with the theory's bytes over the hardware's, per level; absent where a level is not judged."""
    out = []
    for row in rows:
        point = by_key.get(row["key"])
        if point is None or "l1_bytes" not in row:
            continue
        prediction = found[row["key"]]
        footprint = float(point.layer.bytes(point.dtype))
        ratios = {level: getattr(prediction, f"{level}_bytes") / row[f"{level}_bytes"] for level in ("l1", "l2")}
        # Copies that pass by the counted stage of L1 leave less there than at L2: nothing to be compared with.
        if row["l1_bytes"] < row["l2_bytes"]:
            del ratios["l1"]
        if footprint >= LEAST_FOOTPRINT * GPU.l2.size_bytes:
            ratios["dram"] = prediction.dram_bytes / row["dram_bytes"]
        out.append({**row, "footprint_bytes": footprint, "ratios": ratios})
    return out


def predictions(every: Sequence[Point]) -> dict[str, Prediction]:
    """Today's theory for each point, from a cold L2."""
    found: dict[str, Prediction] = {}
    for dtype in dict.fromkeys(point.dtype for point in every):
        mine = [point for point in every if point.dtype is dtype]
        answers = predict_layers([point.layer for point in mine], GPU, dtype, l2_state="cold")
        found.update({point.key: answer for point, answer in zip(mine, answers, strict=True)})
    return found


def page(rows: Sequence[dict[str, Any]], about: dict[str, Any]) -> str:
    every = [point for dtype in dict.fromkeys(row["dtype"] for row in rows) for point in points(DataType(dtype))]
    counted = judged(rows, {point.key: point for point in every}, predictions(every))
    lines = [
        "# Traffic: the theory's bytes beside the hardware's",
        "",
        f"{about['system']}, {about['date']}." if about else "Nothing is counted yet: the table waits for its rows.",
        "Written by `benchmarks/h200_traffic.py`; rows in `benchmarks/results/h200_traffic.jsonl`.",
        "",
        "Each layer's fastest implementation from a cold L2 ran once under `ncu`, with empty caches; the theory "
        "predicts the layer without knowing which implementation that was. The error is the geometric mean of the "
        f"factor by which it is off (GMAE). DRAM is judged on footprints of at least {LEAST_FOOTPRINT:g} times the L2 "
        f"of {GPU.l2.size_bytes / 2**20:.0f} MiB. L1 is judged where the counter sees what L2 sends: asynchronous "
        "copies into shared memory pass by it.",
        "",
        "| layers | data type | counted | L1 GMAE (rows) | L2 GMAE (rows) | DRAM GMAE (rows) |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for group in ("convolution", "matmul"):
        for dtype in dict.fromkeys(row["dtype"] for row in counted):
            mine = [row for row in counted if (row["group"], row["dtype"]) == (group, dtype)]
            cells = " | ".join(_error(mine, level) for level in TARGETS)
            lines.append(f"| {group} | {dtype} | {len(mine)} | {cells} |")
    cells = " | ".join(_error(counted, level) for level in TARGETS)
    targets = " | ".join(f"{target:g} %" for target in TARGETS.values())
    lines += [f"| all | | {len(counted)} | {cells} |", f"| *aim* | | 100 | {targets} |", ""]
    for level in TARGETS:
        lines += _worst(counted, level)
    missing = [row for row in rows if "l1_bytes" not in row]
    if missing:
        reasons = sorted({row["reason"] for row in missing})
        lines += [f"Not counted: {len(missing)} layers ({'; '.join(reasons)}).", ""]
    return "\n".join(lines)


def _error(rows: Sequence[dict[str, Any]], level: str) -> str:
    ratios = [row["ratios"][level] for row in rows if level in row["ratios"]]
    return f"{gmae(ratios):.1f} % ({len(ratios)})" if ratios else "–"


def _worst(rows: Sequence[dict[str, Any]], level: str) -> list[str]:
    mine = sorted((r for r in rows if level in r["ratios"]), key=lambda r: -abs(math.log(r["ratios"][level])))[:8]
    if not mine:
        return []
    name = {"l1": "L1", "l2": "L2", "dram": "DRAM"}[level]
    lines = [f"## {name}: where the theory is farthest off", ""]
    lines += ["| layer | counted MB | predicted over counted | implementation |", "|---|---:|---:|---|"]
    for row in mine:
        kernel = row["implementation"]
        lines.append(
            f"| {row['key']} | {row[f'{level}_bytes'] / 1e6:,.1f} | {row['ratios'][level]:.2f} | "
            f"{kernel['backend']} {kernel['name']} |"
        )
    return [*lines, ""]


def write_page(rows: list[dict[str, Any]], about: dict[str, Any]) -> str:
    PAGE.write_text(page(rows, about), "utf-8")
    return PAGE.read_text("utf-8")


if __name__ == "__main__":
    run(arguments(__doc__), NAME, points, write_page)
