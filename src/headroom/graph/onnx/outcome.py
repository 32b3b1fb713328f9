"""Checks of the graph that a model became: shapes follow from operands too, so they come after all are known."""

from __future__ import annotations

from headroom.errors import ModelError
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.onnx.declared import check_sizes, quoted, shown
from headroom.graph.work import Convolution


def check_graph(graph: Graph) -> None:
    """Refuse a graph whose shapes no memory holds, or with a layer that cannot be run.

    Raises:
        ModelError: names the layer.
    """
    for layer in graph.layers:
        where = f"node {quoted(layer.name)} ({shown(layer.operator, 60)})"
        for tensor in (*layer.inputs, *layer.weights, *layer.outputs):
            check_sizes(tensor.shape, f"{where}: tensor {quoted(tensor.name)}", least=0)
        if layer.kind.does_work:
            _check_working_layer(layer, where)
    for role, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        for tensor in tensors:
            check_sizes(tensor.shape, f"{role} {quoted(tensor.name)}", least=0)


def _check_working_layer(layer: Layer, where: str) -> None:
    for tensor in layer.outputs:
        if tensor.elements == 0:
            raise ModelError(f"{where} writes {quoted(tensor.name)}, which is empty: {list(tensor.shape)}")
    if isinstance(layer.work, Convolution):
        _check_convolution(layer.work, where)


def _check_convolution(work: Convolution, where: str) -> None:
    """Values that came through a function's attributes were named differently when the file was checked."""
    for what, values in (
        ("group", (work.groups,)),
        ("strides", work.stride),
        ("dilations", work.dilation),
        ("kernel_shape", work.kernel),
    ):
        if min(values, default=1) < 1:
            raise ModelError(f"{where} has {what} {', '.join(map(str, values))}; it must be at least 1")
    for role, channels in (("input", work.in_channels), ("output", work.out_channels)):
        if channels % work.groups != 0:
            raise ModelError(f"{where} has group {work.groups}, which does not divide its {channels} {role} channels")
