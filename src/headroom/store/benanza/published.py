"""What Benanza published of whole models: their graphs, the call behind every layer, and totals to compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headroom.errors import ModelError
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Unknown
from headroom.store.benanza.table import Kind, Row, read_tables
from headroom.store.benanza.timed import TimedCall, gpu_name, read_calls, read_times


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """A model at one batch on one GPU."""

    model: str
    gpu: str
    batch: int


@dataclass(frozen=True, slots=True)
class PublishedLayer:
    """A layer's calls: one, or two for a convolution with bias. It is ``listed`` once per tensor that it writes."""

    calls: tuple[TimedCall, ...]
    listed: int


@dataclass(frozen=True, slots=True)
class PublishedTotal:
    """``strategy`` is ``serial`` or ``parallel``, ``choice`` ``best_measured`` or ``cudnn_advised``.

    ``rows_us`` is the sum of the layers that were published beside the total.
    """

    run: Run
    strategy: str
    choice: str
    time_us: float
    rows_us: float


@dataclass(frozen=True)
class Published:
    """Models by name, and the layers of each run by name."""

    graphs: Mapping[str, Graph]
    runs: Mapping[Run, Mapping[str, PublishedLayer]]
    totals: tuple[PublishedTotal, ...]


def read_published(paths: Sequence[Path]) -> Published:
    """Benanza's models, runs and totals out of its tables ``layer_shapes``, ``layers``, ``totals``, ``kernel*``.

    Raises:
        ModelError: a table is missing, cut off, or has a value that does not fit; it names file and line.
    """
    kinds = (Kind.SHAPES, Kind.LAYERS, Kind.TOTALS, Kind.KERNELS, Kind.TIMES)
    tables = read_tables(paths, kinds)
    for kind in kinds:
        if not tables[kind]:
            raise ModelError(f"no rows of Benanza's table '{kind}' in {', '.join(map(str, paths))}: name that file too")
    timed = {
        (each.system.gpu, each.run_batch, name): each
        for name, each in read_times(tables[Kind.TIMES], read_calls(tables[Kind.KERNELS]))
    }
    return Published(
        _graphs(tables[Kind.SHAPES]), _runs(tables[Kind.LAYERS], timed), tuple(map(_total, tables[Kind.TOTALS]))
    )


def _graphs(rows: Sequence[Row]) -> dict[str, Graph]:
    models: dict[str, list[Row]] = {}
    for row in rows:
        models.setdefault(row.word("model"), []).append(row)
    return {model: _graph(model, sorted(nodes, key=lambda row: row.whole("i"))) for model, nodes in models.items()}


def _graph(model: str, rows: Sequence[Row]) -> Graph:
    """Layers with their edges; a node stands once per tensor that it writes, and is one layer."""
    nodes: dict[str, Row] = {}
    written: dict[str, list[str]] = {}
    for row in rows:
        name = row.word("name")
        nodes.setdefault(name, row)
        written.setdefault(name, []).extend(_names(row.text("outputs")) or [name])
    layers = [
        Layer(
            name,
            row.word("type"),
            Unknown(row.word("type"), "told by name alone"),
            _tensors(_names(row.text("inputs"))),
            (),
            _tensors(dict.fromkeys(written[name])),
        )
        for name, row in nodes.items()
    ]
    return Graph(model, tuple(layers), inputs=(), outputs=layers[-1].outputs, batch=1)


def _names(text: str) -> list[str]:
    return [name for name in text.split("|") if name]


def _tensors(names: Sequence[str] | Mapping[str, None]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(name, ()) for name in names)


def _runs(rows: Sequence[Row], timed: Mapping[tuple[str, int, str], TimedCall]) -> dict[Run, dict[str, PublishedLayer]]:
    parts: dict[Run, dict[str, dict[str, TimedCall]]] = {}
    listed: dict[tuple[Run, str, str], int] = {}
    for row in rows:
        run, layer, part = _run(row), row.word("layer"), row.word("part")
        call = timed.get((run.gpu, run.batch, row.word("kernel_id")))
        if call is None:
            raise row.error("kernel_id", f"a call that 'kernel_times' has for {run.gpu} at batch {run.batch}")
        parts.setdefault(run, {}).setdefault(layer, {})[part] = call
        listed[run, layer, part] = listed.get((run, layer, part), 0) + 1
    return {
        run: {
            layer: PublishedLayer(tuple(calls.values()), max(listed[run, layer, part] for part in calls))
            for layer, calls in layers.items()
        }
        for run, layers in parts.items()
    }


def _total(row: Row) -> PublishedTotal:
    return PublishedTotal(
        _run(row),
        row.word("strategy"),
        row.word("algo_choice"),
        row.time("total_ms") * 1e3,
        row.time("sum_rows_ms") * 1e3,
    )


def _run(row: Row) -> Run:
    return Run(row.word("model"), gpu_name(row), row.whole("batch", 1))
