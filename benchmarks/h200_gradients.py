"""Gradients timed on an H200: each with its fastest implementation, in both states of the cache.

    python benchmarks/h200_gradients.py NETWORK=DATABASE...      (writes results/h200_gradients.json)

The databases are what ``headroom measure MODEL --direction training`` wrote on an H200; a layer that several hold is
taken from the first. Beside these there are the transposed convolutions that the package's own database has, of one
training graph: the same kernels as input gradients.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import cache

from h200_rows import Timed
from h200_shipped import FASTEST, direction_of_layer, shipped
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from record import RESULTS, write_result

NAME = "h200_gradients"

#: What rows of the package's own database are called.
SHIPPED = "training graph"


def extract(network: str, database: str) -> Iterator[dict[str, object]]:
    """Rows of single layers that compute a gradient."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute(FASTEST).fetchall()
    for digest, text, dtype, l2, time_us in rows:
        layers = Chain.from_json(json.loads(text)).layers
        if len(layers) == 1 and direction_of_layer(layers[0]) != "forward":
            yield {
                "network": network, "digest": digest, "layers": text, "dtype": dtype, "l2": l2,
                "time_us": round(float(time_us), 4),
            }  # fmt: skip


def system_of(database: str) -> str:
    """What the rows were measured on."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        gpu, driver, cuda, cudnn, cublas, torch = connection.execute(
            "SELECT gpu, driver, cuda, cudnn, cublas, torch FROM systems"
        ).fetchone()
    return f"{gpu}, driver {driver}, CUDA {cuda}, cuDNN {cudnn}, cuBLAS {cublas}, PyTorch {torch}"


@cache
def timed_gradients() -> dict[str, list[Timed]]:
    """By network, its gradients; a row of the package's own database counts where no network has it."""
    found: dict[str, list[Timed]] = {}
    seen = set()
    for row in json.loads((RESULTS / f"{NAME}.json").read_text())["rows"]:
        layer = Chain.from_json(json.loads(row["layers"])).layers[0]
        seen.add((row["digest"], row["dtype"], row["l2"]))
        timed = Timed("conv2d", DataType(row["dtype"]), layer, row["time_us"], row["l2"], row["digest"])
        found.setdefault(row["network"], []).append(timed)
    for timed in shipped():
        if direction_of_layer(timed.layer) != "forward" and (timed.digest, timed.dtype, timed.l2) not in seen:
            found.setdefault(SHIPPED, []).append(timed)
    return found


if __name__ == "__main__":
    if not sys.argv[1:]:
        raise SystemExit(__doc__)
    first: dict[tuple[object, ...], dict[str, object]] = {}
    for argument in sys.argv[1:]:
        for row in extract(*argument.split("=", 1)):
            first.setdefault((row["digest"], row["dtype"], row["l2"]), row)
    write_result(NAME, {"system": system_of(sys.argv[1].split("=", 1)[1]), "rows": list(first.values())})
