"""What the ONNX library's own checker lets through, or dies of: checked before any native code sees it."""

from __future__ import annotations

import onnx

from headroom.errors import ModelError
from headroom.graph.graph import Graph
from headroom.graph.onnx import limits


def check_model(model: onnx.ModelProto) -> None:
    """Refuse a model that asks for something no layer can be.

    Raises:
        ModelError: names the node or tensor, what was found and what would be right.
    """
    if len(model.graph.node) > limits.NODES:
        raise ModelError(f"the graph has {len(model.graph.node)} nodes, more than {limits.NODES}")


def check_graph(graph: Graph) -> None:
    """Refuse a graph with a tensor that no memory holds: shapes follow from operands, not only from the file."""
    for layer in graph.layers:
        for tensor in layer.outputs:
            if tensor.elements > limits.ELEMENTS:
                raise ModelError(f"layer {layer.name!r} writes {tensor.elements} elements")
