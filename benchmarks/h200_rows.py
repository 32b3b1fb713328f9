"""Layers timed on an H200, as the layers that the theory predicts.

Most come with the package: the fastest implementation of every single layer of its database (:mod:`h200_shipped`).
Networks hold few products and attentions of different sizes: for these there are also the sizes of
``results/h200_layers.csv``, as PyTorch's libraries run them.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Attention, Matmul, Work
from record import ROOT

SOURCE = "H200 layers"

#: Of the table of sizes: the operations whose PyTorch kernels are about the fastest there are.
KEPT = ("matmul", "attention")

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Timed:
    """One row: ``op`` is the kind or the sort of its kernel; ``l2`` the state of the L2 cache; ``digest`` that of the
    database's chain, empty for a row of the table of sizes.
    """

    op: str
    dtype: DataType
    layer: Layer
    measured_us: float
    l2: str = "warm"
    digest: str = ""

    @property
    def label(self) -> str:
        return self.layer.name

    @property
    def held_out(self) -> bool:
        """Half of the shapes, chosen by a hash of the shape: never fitted on."""
        return zlib.crc32(self.label.encode()) % 2 == 1


def timed_sizes() -> list[Timed]:
    """The rows of the table of sizes that are kept."""
    path = ROOT / "benchmarks" / "results" / "h200_layers.csv"
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "ok" and row["op"] in KEPT]
    return [_timed(row) for row in rows]


def _timed(row: dict[str, str]) -> Timed:
    sizes = {name: int(float(value)) for name, value in row.items() if name in _SIZES and value}
    op = _sort(row["op"], sizes)
    label = " ".join([op, row["shape"], *(f"{name}{value}" for name, value in sizes.items())]).replace("  ", " ")
    return Timed(op, DataType(row["dtype"]), _SIZED[op](label, sizes), float(row["time_us"]))


_SIZES = ("batch", "m", "n", "k", "heads", "causal", "groups", "c", "h", "w", "r", "s", "stride", "padding")


def _sort(op: str, sizes: dict[str, int]) -> str:
    return "matvec" if op == "matmul" and sizes["m"] == 1 else op


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


def _attention(name: str, z: dict[str, int]) -> Layer:
    b, heads, queries, keys, width = z["batch"], z["heads"], z["m"], z["n"], z["k"]
    work = Attention(b, heads, queries, keys, width, width, heads, causal=bool(z["causal"]))
    query, key = (b, heads, queries, width), (b, heads, keys, width)
    return _layer(name, work, [query, key, key], query)


#: Operations whose sizes stand in columns of their own.
_SIZED: dict[str, Callable[[str, dict[str, int]], Layer]] = {
    "matmul": _matmul,
    "matvec": _matmul,
    "attention": _attention,
}
