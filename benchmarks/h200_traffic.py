"""Bytes at L1, L2 and DRAM of convolutions and products on an H200, counted by the hardware beside the theory's.

    python benchmarks/h200_traffic.py measure OUT_FOLDER [--dtype bf16,fp32] [--limit SECONDS] [--dry-run]
    python benchmarks/h200_traffic.py page OUT_FOLDER

``measure`` needs the GPU, PyTorch and ``ncu``; it ends at its limit and goes on where it stopped. ``page`` copies the
rows to ``benchmarks/results/h200_traffic.jsonl`` and writes ``docs/traffic.md`` from them and from today's theory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import h200_sensitivity
from counted_layers import Point, arguments, rows_of, run
from delta_study.networks import NETWORKS, layer_of, unique
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Matmul
from record import RESULTS, ROOT
from traffic_page import page

NAME = "h200_traffic"
PAGE = ROOT / "docs" / "traffic.md"
DTYPES = (DataType.BF16, DataType.FP32)

#: Samples per convolution, as the paper has it: half of the footprints then exceed twice the L2.
BATCH = 256

#: Rows, columns and depth of products: projections and feed-forward layers of transformers, and squares.
TOKENS = (512, 2048, 8192, 32768)
WEIGHTS = (
    (768, 768), (3072, 768), (768, 3072), (2304, 768), (4096, 4096), (11008, 4096), (4096, 11008), (5120, 5120),
    (1000, 2048), (30522, 768),
)  # fmt: skip
SQUARES, BATCHED = (1024, 2048, 4096, 8192), ((64, 512, 512, 64), (256, 1024, 1024, 64), (256, 1024, 64, 1024))


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


def write_page(rows: list[dict[str, Any]], about: dict[str, Any]) -> str:
    every = [point for dtype in DTYPES for script in (points, h200_sensitivity.points) for point in script(dtype)]
    swept = rows_of(RESULTS / f"{h200_sensitivity.NAME}.jsonl")
    PAGE.write_text(page([*rows, *swept], every, about), "utf-8")
    return PAGE.read_text("utf-8")


if __name__ == "__main__":
    run(arguments(__doc__), NAME, points, write_page)
