"""What the ONNX library's own checker lets through, or dies of: checked before any native code sees it.

The library computes with dimensions and attributes as they stand: a dimension of -1 aborts the process in
shape inference, and a convolution with ``group`` 0 passes its checker. :func:`check_model` looks at the
structure as the file states it, :func:`check_graph` at the shapes that were worked out from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import onnx
from onnx import defs

from headroom.errors import ModelError
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.onnx import limits, rules
from headroom.graph.work import Convolution
from headroom.text import plain_line

_DEFAULT_DOMAINS = ("", "ai.onnx")
_NAMES = onnx.AttributeProto.AttributeType


def check_model(model: onnx.ModelProto) -> None:
    """Refuse a model that asks for something no layer can be, or for more than any model needs.

    Raises:
        ModelError: names the node or tensor, what was found and what would be right.
    """
    if model.ir_version > onnx.IR_VERSION:
        raise ModelError(
            f"it is written in ONNX IR version {model.ir_version} and the newest known is {onnx.IR_VERSION}; "
            "upgrade the onnx package or export for an older version"
        )
    checker = _Checker(_opset(model))
    for function in model.functions:
        checker.function(function)
    checker.graph(model.graph, outer=(), depth=0)


def _opset(owner: onnx.ModelProto | onnx.FunctionProto) -> int:
    """The version of the standard operators that a model or a function is written in."""
    for entry in owner.opset_import:
        _check_name(entry.domain, "the list of opsets")
    versions = [entry.version for entry in owner.opset_import if entry.domain in _DEFAULT_DOMAINS]
    newest = defs.onnx_opset_version()
    # Files of the first two IR versions name no opset and mean the first.
    version = versions[-1] if versions else 1
    if not 1 <= version <= newest:
        raise ModelError(
            f"it uses opset {version} and the known ones are 1 to {newest}; "
            "upgrade the onnx package or export for an older opset"
        )
    return version


class _Checker:
    """Walks graphs, subgraphs and functions, and counts what they hold together."""

    def __init__(self, opset: int) -> None:
        self._opset = opset
        self._nodes = 0

    def function(self, function: onnx.FunctionProto) -> None:
        _check_name(function.name, "a function")
        outside, self._opset = self._opset, _opset(function)
        self._node_list(function.node, (set(function.input),), depth=0, in_function=True)
        self._opset = outside

    def graph(self, graph: onnx.GraphProto, outer: tuple[set[str], ...], depth: int) -> None:
        if depth > limits.SUBGRAPH_DEPTH:
            raise ModelError(f"graphs are nested more than {limits.SUBGRAPH_DEPTH} deep, in {_quoted(graph.name)}")
        known = {""}  # an optional input that is left out
        for value in graph.input:
            _check_type(value, "input", least=1)
            known.add(value.name)
        for value in graph.value_info:
            _check_type(value, "tensor", least=0)
        for value in graph.output:
            _check_type(value, "output", least=0)
        for tensor in graph.initializer:
            _check_tensor(tensor, f"initializer {_quoted(tensor.name)}")
            known.add(tensor.name)
        for sparse in graph.sparse_initializer:
            _check_sparse_tensor(sparse, f"initializer {_quoted(sparse.values.name)}")
            known.add(sparse.values.name)
        self._node_list(graph.node, (known, *outer), depth, in_function=False)
        for value in graph.output:
            if not _is_known(value.name, (known, *outer)):
                raise ModelError(f"output {_quoted(value.name)} is produced by no node")

    def _node_list(
        self, nodes: Sequence[onnx.NodeProto], scopes: tuple[set[str], ...], depth: int, in_function: bool
    ) -> None:
        self._nodes += len(nodes)
        if self._nodes > limits.NODES:
            raise ModelError(f"the model has more than {limits.NODES} nodes; split it")
        known = scopes[0]
        known.add("")
        for index, node in enumerate(nodes):
            where = _node_label(node, index)
            self._node(node, where, scopes, depth, in_function)
            for output in node.output:
                if output and output in known:
                    raise ModelError(f"{where} writes {_quoted(output)}, which exists already; rename one")
                known.add(output)

    def _node(
        self,
        node: onnx.NodeProto,
        where: str,
        scopes: tuple[set[str], ...],
        depth: int,
        in_function: bool,
    ) -> None:
        if max(len(node.input), len(node.output)) > limits.NODE_TENSORS:
            raise ModelError(f"{where} has more than {limits.NODE_TENSORS} inputs or outputs")
        for name in (node.name, node.op_type, node.domain, *node.input, *node.output):
            _check_name(name, where)
        for name in node.input:
            if not _is_known(name, scopes):
                raise ModelError(
                    f"{where} reads {_quoted(name)}, which nothing before it produces; "
                    "the nodes form a cycle, stand in the wrong order, or one is missing"
                )
        if node.domain in _DEFAULT_DOMAINS:
            _check_signature(node, where, self._opset)
        seen: set[str] = set()
        for attribute in node.attribute:
            if attribute.name in seen:
                raise ModelError(f"{where} has two attributes called {_quoted(attribute.name)}")
            seen.add(attribute.name)
            if attribute.ref_attr_name:
                if not in_function:
                    raise ModelError(f"{where} refers to an attribute of a function and is in none")
                continue
            _check_attribute(node, attribute, where)
            for graph in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                self.graph(graph, scopes, depth + 1)
        _check_window(node, where)


def _is_known(name: str, scopes: Iterable[set[str]]) -> bool:
    return any(name in scope for scope in scopes)


@cache
def _signature(operator: str, opset: int) -> tuple[Any, dict[str, int], frozenset[str]] | None:
    """The operator's schema, its attributes' types and which are required; ``None`` if it is unknown."""
    try:
        schema = defs.get_schema(operator, opset)
    except defs.SchemaError:
        return None
    attributes = schema.attributes
    required = frozenset(name for name, attribute in attributes.items() if attribute.required)
    types = {name: int(attribute.type.value) for name, attribute in attributes.items()}
    return schema, types, required


def _check_signature(node: onnx.NodeProto, where: str, opset: int) -> None:
    """Counts of inputs and outputs, and names and types of attributes, as the operator's schema has them."""
    signature = _signature(node.op_type, opset)
    if signature is None:
        return  # an operator that nobody knows is reported as such, layer by layer
    schema, types, required = signature
    for what, count, least, most in (
        ("inputs", len(node.input), schema.min_input, schema.max_input),
        ("outputs", len(node.output), schema.min_output, schema.max_output),
    ):
        if not least <= count <= most:
            span = str(least) if least == most else f"{least} to {most}" if most < 2**31 - 1 else f"{least} or more"
            raise ModelError(f"{where} has {count} {what}; {node.op_type} in opset {opset} takes {span}")
    for attribute in node.attribute:
        expected = types.get(attribute.name)
        if expected is not None and attribute.type != expected:
            raise ModelError(
                f"{where} gives attribute {_quoted(attribute.name)} as {_type_name(attribute.type)} "
                f"and it must be {_type_name(expected)}"
            )
    missing = required - {attribute.name for attribute in node.attribute}
    if missing:
        raise ModelError(f"{where} lacks its attribute {_quoted(min(missing))}")


def _type_name(number: int) -> str:
    return str(_NAMES.Name(number)) if number in _NAMES.values() else f"type {number}"


def _check_attribute(node: onnx.NodeProto, attribute: onnx.AttributeProto, where: str) -> None:
    _check_name(attribute.name, where)
    values = rules.values_of(attribute)
    if len(values) > limits.ATTRIBUTE_VALUES:
        raise ModelError(
            f"{where} has {len(values)} values in {_quoted(attribute.name)}, more than {limits.ATTRIBUTE_VALUES}"
        )
    expected = rules.complaint(node.op_type, attribute)
    if expected is not None:
        shown = plain_line(", ".join(map(str, values[:8])), 60)
        raise ModelError(f"{where} has {attribute.name} {shown}; it must be {expected}")
    for tensor in (*((attribute.t,) if attribute.HasField("t") else ()), *attribute.tensors):
        _check_tensor(tensor, f"{where}: attribute {_quoted(attribute.name)}")
    for sparse in (
        *((attribute.sparse_tensor,) if attribute.HasField("sparse_tensor") else ()),
        *attribute.sparse_tensors,
    ):
        _check_sparse_tensor(sparse, f"{where}: attribute {_quoted(attribute.name)}")


_PER_DIMENSION = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 1, "pads": 2}


def _check_window(node: onnx.NodeProto, where: str) -> None:
    """The attributes of a sliding window speak of equally many dimensions."""
    counts = {
        attribute.name: len(attribute.ints) / _PER_DIMENSION[attribute.name]
        for attribute in node.attribute
        if attribute.name in _PER_DIMENSION and attribute.ints
    }
    if len(set(counts.values())) > 1 and node.op_type != "Col2Im":
        listed = ", ".join(f"{name} for {count:g}" for name, count in counts.items())
        raise ModelError(f"{where} has attributes for different numbers of dimensions: {listed}")


def _check_type(value: onnx.ValueInfoProto, role: str, least: int) -> None:
    """Dimensions of a declared tensor: a symbol, or a size of at least ``least``."""
    where = f"{role} {_quoted(value.name)}"
    _check_name(value.name, role)
    if not value.HasField("type") or not value.type.HasField("tensor_type"):
        return
    _check_element_type(value.type.tensor_type.elem_type, where)
    dims = value.type.tensor_type.shape.dim
    sizes = [dim.dim_value for dim in dims if dim.HasField("dim_value")]
    _check_sizes(sizes, where, least)
    if len(dims) > limits.RANK:
        raise ModelError(f"{where} has {len(dims)} dimensions, more than {limits.RANK}")
    for dim in dims:
        _check_name(dim.dim_param, where)


def _check_tensor(tensor: onnx.TensorProto, where: str) -> None:
    _check_name(tensor.name, where)
    _check_element_type(tensor.data_type, where)
    _check_sizes(tensor.dims, where, least=0)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return  # its data is elsewhere, and is not looked for
    elements = math.prod(tensor.dims)
    count = max(len(tensor.int32_data), len(tensor.int64_data), len(tensor.uint64_data))
    if count > elements:
        raise ModelError(f"{where} holds {count} values and its shape has room for {elements}")


def _check_element_type(number: int, where: str) -> None:
    if number not in onnx.TensorProto.DataType.values():
        raise ModelError(f"{where} has elements of type {number}, which ONNX does not define")


def _check_sparse_tensor(sparse: onnx.SparseTensorProto, where: str) -> None:
    _check_sizes(sparse.dims, where, least=0)
    _check_tensor(sparse.values, where)
    _check_tensor(sparse.indices, where)


def _check_sizes(sizes: Sequence[int], where: str, least: int) -> None:
    if len(sizes) > limits.RANK:
        raise ModelError(f"{where} has {len(sizes)} dimensions, more than {limits.RANK}")
    for size in sizes:
        if not least <= size <= limits.DIMENSION:
            raise ModelError(
                f"{where} has a dimension of {size}; a dimension is {least} to {limits.DIMENSION}, "
                "or a symbol that --batch or --dim gives a size"
            )
    if math.prod(sizes) > limits.ELEMENTS:
        raise ModelError(f"{where} has {math.prod(sizes)} elements, more than {limits.ELEMENTS}")


def _check_name(name: str | bytes, where: str) -> None:
    if isinstance(name, bytes):
        raise ModelError(f"{where} has a name that is not text: {_quoted(name)}; the file is damaged")
    if len(name) > limits.NAME_CHARACTERS:
        raise ModelError(
            f"{where} has a name of {len(name)} characters, more than {limits.NAME_CHARACTERS}: {_quoted(name)}"
        )


def _node_label(node: onnx.NodeProto, index: int) -> str:
    """How errors name a node: by its name, or by its place where it has none."""
    return f"node {_quoted(node.name) if node.name else index} ({_shown(node.op_type, 60)})"


def _quoted(name: str | bytes) -> str:
    return f"'{_shown(name, 120)}'"


def _shown(name: str | bytes, characters: int) -> str:
    """A name for people. Protobuf hands out bytes where a file's text is not valid."""
    return plain_line(name if isinstance(name, str) else name.decode(errors="replace"), characters)


def check_graph(graph: Graph) -> None:
    """Refuse a graph whose shapes no memory holds, or with a layer that cannot be run.

    Shapes follow from operands too, so this comes after all of them are known.

    Raises:
        ModelError: names the layer.
    """
    for layer in graph.layers:
        where = f"node {_quoted(layer.name)} ({_shown(layer.operator, 60)})"
        for tensor in (*layer.inputs, *layer.weights, *layer.outputs):
            _check_sizes(tensor.shape, f"{where}: tensor {_quoted(tensor.name)}", least=0)
        if layer.kind.does_work:
            _check_working_layer(layer, where)
    for role, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        for tensor in tensors:
            _check_sizes(tensor.shape, f"{role} {_quoted(tensor.name)}", least=0)


def _check_working_layer(layer: Layer, where: str) -> None:
    for tensor in layer.outputs:
        if tensor.elements == 0:
            raise ModelError(f"{where} writes {_quoted(tensor.name)}, which is empty: {list(tensor.shape)}")
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
