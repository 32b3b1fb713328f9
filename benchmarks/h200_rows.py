"""The layers timed on an H200 (``results/h200_layers.csv``), as the layers that the theory predicts.

Dropped: the LSTM rows, because their weights were packed anew at every launch, which the time contains.
"""

from __future__ import annotations

import csv
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import (
    Attention,
    Convolution,
    Elementwise,
    Matmul,
    Movement,
    Normalization,
    Pooling,
    Reduction,
    Softmax,
    Work,
)
from record import ROOT

SOURCE = "H200 layers"
DROPPED = ("lstm",)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Timed:
    """One row: ``op`` as the table calls it (depthwise convolutions and matrix-vector products apart)."""

    op: str
    dtype: DataType
    layer: Layer
    measured_us: float

    @property
    def label(self) -> str:
        return self.layer.name

    @property
    def held_out(self) -> bool:
        """Half of the shapes, chosen by a hash of the shape: never fitted on."""
        return zlib.crc32(self.label.encode()) % 2 == 1


def timed_layers() -> list[Timed]:
    """Every usable row."""
    path = ROOT / "benchmarks" / "results" / "h200_layers.csv"
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "ok" and row["op"] not in DROPPED]
    return [_timed(row) for row in rows]


def _timed(row: dict[str, str]) -> Timed:
    sizes = {name: int(float(value)) for name, value in row.items() if name in _SIZES and value}
    shape = tuple(int(part) for part in row["shape"].split("x")) if row["shape"] else ()
    op = _sort(row["op"], sizes)
    label = " ".join([op, row["shape"], *(f"{name}{value}" for name, value in sizes.items())]).replace("  ", " ")
    build = _SIZED.get(op)
    layer = build(label, sizes) if build else _STREAMS[op](label, shape)
    return Timed(op, DataType(row["dtype"]), layer, float(row["time_us"]))


_SIZES = ("batch", "m", "n", "k", "heads", "causal", "groups", "c", "h", "w", "r", "s", "stride", "padding")


def _sort(op: str, sizes: dict[str, int]) -> str:
    if op == "matmul" and sizes["m"] == 1:
        return "matvec"
    return "depthwise" if op == "conv2d" and sizes["groups"] > 1 else op


def _layer(name: str, work: Work, inputs: list[Shape], out: Shape, weights: list[Shape] | None = None) -> Layer:
    return Layer(
        name,
        type(work).__name__,
        work,
        tuple(TensorSpec(f"in{i}", shape) for i, shape in enumerate(inputs)),
        tuple(TensorSpec(f"weight{i}", shape) for i, shape in enumerate(weights or [])),
        (TensorSpec("out", out),),
    )


def _matmul(name: str, z: dict[str, int]) -> Layer:
    b, m, n, k = z["batch"], z["m"], z["n"], z["k"]
    return _layer(name, Matmul(m, n, k, b), [(b, m, k)], (b, m, n), [(b, k, n)])


def _convolution(name: str, z: dict[str, int]) -> Layer:
    n, c, k, r, g = z["n"], z["c"], z["k"], z["r"], z["groups"]
    pad, step = z["padding"], z["stride"]
    p, q = ((z[side] + 2 * pad - r) // step + 1 for side in ("h", "w"))
    work = Convolution(n, c, k, (z["h"], z["w"]), (p, q), (r, r), (step,) * 2, ((pad, pad),) * 2, (1, 1), g)
    return _layer(name, work, [(n, c, z["h"], z["w"])], (n, k, p, q), [(k, c // g, r, r)])


def _attention(name: str, z: dict[str, int]) -> Layer:
    b, heads, queries, keys, width = z["batch"], z["heads"], z["m"], z["n"], z["k"]
    work = Attention(b, heads, queries, keys, width, width, heads, causal=bool(z["causal"]))
    query, key = (b, heads, queries, width), (b, heads, keys, width)
    return _layer(name, work, [query, key, key], query)


#: Operations whose sizes stand in columns of their own.
_SIZED: dict[str, Callable[[str, dict[str, int]], Layer]] = {
    "matmul": _matmul,
    "matvec": _matmul,
    "conv2d": _convolution,
    "depthwise": _convolution,
    "attention": _attention,
}


def _same(make: Callable[[int], Work], operands: int = 1) -> Callable[[str, Shape], Layer]:
    return lambda name, shape: _layer(name, make(math.prod(shape)), [shape] * operands, shape)


def _max_pool(name: str, shape: Shape) -> Layer:
    out = (*shape[:2], *((size - 1) // 2 + 1 for size in shape[2:]))
    return _layer(name, Pooling("max", math.prod(out), (3, 3), (2, 2)), [shape], out)


_STREAMS: dict[str, Callable[[str, Shape], Layer]] = {
    "relu": _same(lambda elements: Elementwise("relu", elements, activation=True)),
    "gelu": _same(lambda elements: Elementwise("gelu", elements, 14, activation=True)),
    "add": _same(lambda elements: Elementwise("add", elements), operands=2),
    "layer_norm": lambda name, shape: _layer(
        name, Normalization("layer", math.prod(shape), group_elements=shape[-1]), [shape], shape
    ),
    "softmax": lambda name, shape: _layer(name, Softmax(math.prod(shape[:-1]), shape[-1]), [shape], shape),
    "reduce_mean": lambda name, shape: _layer(
        name, Reduction("mean", math.prod(shape), math.prod(shape[:-1])), [shape], shape[:-1]
    ),
    "transpose": lambda name, shape: _layer(name, Movement("transpose", math.prod(shape)), [shape], shape[::-1]),
    "concat": lambda name, shape: _layer(
        name, Movement("concat", 2 * math.prod(shape)), [shape, shape], (shape[0], 2 * shape[1])
    ),
    "batch_norm": lambda name, shape: _layer(
        name, Normalization("batch", math.prod(shape)), [shape], shape, [shape[1:2]] * 4
    ),
    "max_pool": _max_pool,
    "global_pool": lambda name, shape: _layer(
        name, Pooling("average", math.prod(shape[:2]), shape[2:], shape[2:]), [shape], shape[:2]
    ),
}
