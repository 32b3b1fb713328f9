"""From a parsed ONNX model to a :class:`~headroom.graph.graph.Graph`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import onnx

from headroom.errors import ModelError
from headroom.graph.graph import Graph
from headroom.graph.onnx.symbols import pin_inputs
from headroom.graph.onnx.walk import Walk

_NO_DIMS: Mapping[str, int] = MappingProxyType({})


def build_graph(
    model: onnx.ModelProto, *, name: str, batch: int | None = None, dims: Mapping[str, int] = _NO_DIMS
) -> Graph:
    """Understand a model whose structure has been checked.

    Weights need no contents: shapes are enough. No file is opened.

    Args:
        model: the parsed file.
        name: the graph's name, for people.
        batch: samples per run. Without it the model keeps the batch it was exported with; a batch that is a
            symbol is 1.
        dims: sizes of the other symbolic dimensions, by symbol.

    Raises:
        ModelError: a dimension stays unknown, a node does not fit its operands, or the model cannot be
            carried over to ``batch``.
    """
    if batch is not None and batch < 1:
        raise ModelError(f"a batch of {batch} was asked for; it must be at least 1")
    inputs = pin_inputs(model.graph, batch, dims)
    walked = Walk(model, inputs.target).run()
    return Graph(
        name=name,
        layers=walked.layers,
        inputs=inputs.target,
        outputs=walked.outputs,
        batch=inputs.batch,
        notes=walked.notes,
    )
