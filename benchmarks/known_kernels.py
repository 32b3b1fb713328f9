"""The kernels behind implementations that were counted: tile, cluster and division of K, as libraries' names tell them.

    python benchmarks/known_kernels.py DATABASE      (a database with the kernels of every implementation)

writes ``results/known_kernels.json`` for the implementations of the counted rows: cuBLASLt's from the attributes in
their names, cuDNN's from the kernels that the stopwatch saw behind the same name. PyTorch's own choice has no name.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from typing import Any

from headroom.graph.layer import Layer
from headroom.predict.counters import KnownKernel
from record import RESULTS

RECORD = RESULTS / "known_kernels.json"

#: Rows whose implementations are looked up.
COUNTED = ("h200_traffic", "h200_sensitivity")

#: cuBLASLt's algorithms by their numbers: the first copies by tensor, the others by thread, of which one runs down
#: columns and one in panels.
BULK, BY_ROWS, IN_PANELS = 66, 55, 20

#: cuDNN's engines: tensor copies, loads through L1, and Fourier transforms. The first's knobs that say its cluster.
#: The others are left out: one name of theirs stands for several kernels, or does not tell the cluster.
ENGINES = {"eng62": "bulk", "eng70": "plain", "eng45": "plain", "eng7": "plain", "eng3": "fourier"}
CLUSTER = ("k27", "k28")

_KERNELS = """
    SELECT kernels.shape, count(*) FROM timings
    JOIN implementations ON implementations.key = timings.implementations_key
    JOIN launches ON launches.timings_key = timings.key JOIN kernels ON kernels.key = launches.kernels_key
    WHERE implementations.backend = 'cudnn' AND implementations.name = ? AND timings.dtype = ?
      AND kernels.shape LIKE '% % % % % % % %' GROUP BY kernels.shape ORDER BY count(*) DESC LIMIT 1
"""


def kernel_of(row: Mapping[str, Any], layer: Layer, sms: int) -> KnownKernel | None:
    """The kernel behind a counted row; ``None`` where its name is not known."""
    told = _record().get(_key(row))
    if told is None:
        return None
    kernel = KnownKernel(**told)
    if kernel.bulk or kernel.fourier or not row.get("waves"):
        return kernel
    gemm = layer.gemm
    if gemm is None:
        return None
    ctas = -(-gemm.m // kernel.tile_m) * -(-gemm.n // kernel.tile_n) * gemm.batch * kernel.splits
    # The launch says how many of its rounds fill the GPU, and so how many CTAs an SM holds.
    resident = max(1, round(ctas / sms / row["waves"]))
    return KnownKernel(**told | {"resident": resident})


def _key(row: Mapping[str, Any]) -> str:
    how = row.get("implementation") or {}
    return f"{how.get('backend')} {how.get('name')} {row['dtype']}"


@cache
def _record() -> dict[str, dict[str, Any]]:
    return json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}


def product(name: str) -> dict[str, Any] | None:
    """A kernel of cuBLASLt, which computes the transposed product: its M is ours N."""
    from nvmath.bindings.cublasLt import ClusterShape, MatmulTile

    told = {key: int(value) for key, value in re.findall(r"([a-z]+)(\d+)", name)}
    if told["algo"] not in (BULK, BY_ROWS, IN_PANELS):
        return None
    sizes = re.fullmatch(r"TILE_(\d+)x(\d+)", MatmulTile(told["tile"]).name)
    shape = re.fullmatch(r"SHAPE_(\d+)x(\d+)x1", ClusterShape(told["cluster"]).name)
    if sizes is None:
        return None
    tile_n, tile_m = map(int, sizes.groups())
    along_n, along_m = map(int, shape.groups()) if shape else (1, 1)
    bulk = told["algo"] == BULK
    return {
        "tile_m": tile_m, "tile_n": tile_n, "tile_k": 64 if bulk else 8, "splits": max(1, told["splitk"]),
        "along_m": along_m, "along_n": along_n, "bulk": bulk, "by_rows": told["algo"] == BY_ROWS,
    }  # fmt: skip


def convolution(name: str, dtype: str, database: sqlite3.Connection) -> dict[str, Any] | None:
    """A kernel of cuDNN."""
    engine, *_ = name.split("_")
    sort = ENGINES.get(engine)
    if sort == "fourier":
        return {"tile_m": 0, "tile_n": 0, "tile_k": 0, "fourier": True}
    found = database.execute(_KERNELS, (name, dtype)).fetchone() if sort else None
    if found is None:
        return None
    knobs = {key: int(value) for key, value in re.findall(r"(k\d+)=(\d+)", name)}
    along_m, along_n = (knobs.get(knob, 1) for knob in CLUSTER) if sort == "bulk" else (1, 1)
    tile_m, tile_n, tile_k = map(int, found[0].split()[5:8])
    return {
        "tile_m": tile_m, "tile_n": tile_n, "tile_k": tile_k, "along_m": along_m, "along_n": along_n,
        "bulk": sort == "bulk",
    }  # fmt: skip


def record(database: str) -> dict[str, dict[str, Any]]:
    """The kernels of all counted rows' implementations, by :func:`_key`."""
    found = {}
    with closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as connection:
        for name in COUNTED:
            for line in (RESULTS / f"{name}.jsonl").read_text("utf-8").splitlines():
                row = json.loads(line)
                how = row.get("implementation") or {}
                if how.get("backend") == "cublaslt":
                    found[_key(row)] = product(how["name"])
                elif how.get("backend") == "cudnn":
                    found[_key(row)] = convolution(how["name"], row["dtype"], connection)
    return {key: kernel for key, kernel in sorted(found.items()) if kernel}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    RECORD.write_text(json.dumps(record(sys.argv[1]), indent=1) + "\n", "utf-8")
