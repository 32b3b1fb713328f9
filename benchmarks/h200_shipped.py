"""The single layers of the package's H200 database, each with its fastest implementation, and all rows together."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import cache

from h200_rows import Timed, timed_sizes
from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.predict.kinds.layer_products import is_direct
from headroom.predict.kinds.streaming import sort_of
from record import ROOT

DATABASE = ROOT / "src" / "headroom" / "store" / "shipped" / "h200.sqlite"

#: Per single layer or chain, data type and cache state, the time of the fastest implementation.
FASTEST = """
    SELECT chains.digest, chains.layers, timings.dtype, timings.l2, min(timings.median_us)
    FROM timings JOIN chains ON chains.key = timings.chains_key
    WHERE timings.status = 'ok' AND timings.median_us IS NOT NULL
    GROUP BY chains.key, timings.dtype, timings.l2 ORDER BY chains.digest, timings.dtype, timings.l2
"""


@cache
def timed_layers() -> tuple[Timed, ...]:
    """Every usable row, of the database and of the table of sizes; gradients have a table of their own."""
    return (*(row for row in shipped() if direction_of_layer(row.layer) == "forward"), *timed_sizes())


def direction_of_layer(layer: Layer) -> str:
    """The pass that a convolution belongs to; everything else is forward."""
    return str(getattr(layer.work, "direction", "forward"))


def shipped() -> Iterator[Timed]:
    with closing(sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True)) as connection:
        rows = connection.execute(FASTEST).fetchall()
    for digest, text, dtype, l2, time_us in rows:
        layers = Chain.from_json(json.loads(text)).layers
        if len(layers) == 1:
            layer = replace(layers[0], name=_label(layers[0]))
            yield Timed(op_of(layer), DataType(dtype), layer, float(time_us), l2, digest)


def _label(layer: Layer) -> str:
    """The configuration without its weights: with a bias and without one, a layer is on the same side of the split."""
    return f"{layer.work!r} of {' '.join('x'.join(map(str, tensor.shape)) for tensor in layer.inputs)}"


def op_of(layer: Layer) -> str:
    """``conv2d``, ``matmul``, ``attention``, or the sort of a streaming kernel."""
    kind = layer.kind.value
    if kind == "convolution" and not is_direct(layer):
        return "conv2d"
    return kind if kind in ("matmul", "attention") else sort_of(layer)
