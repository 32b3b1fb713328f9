"""What the ONNX library's own checker lets through, or dies of: checked before any native code sees it.

The library computes with dimensions and attributes as they stand: a dimension of -1 aborts the process in
shape inference, and a convolution with ``group`` 0 passes its checker. The walk here looks at the structure;
:mod:`.declared`, :mod:`.nodes` and :mod:`.rules` at its pieces, and :mod:`.outcome` at what became of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx
from onnx import defs

from headroom.errors import ModelError
from headroom.graph.onnx import limits
from headroom.graph.onnx.declared import check_name, check_sparse_tensor, check_tensor, check_type, quoted, shown
from headroom.graph.onnx.nodes import check_attribute, check_signature, check_window

_DEFAULT_DOMAINS = ("", "ai.onnx")


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
        check_name(entry.domain, "the list of opsets")
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
        check_name(function.name, "a function")
        outside, self._opset = self._opset, _opset(function)
        self._node_list(function.node, (set(function.input),), depth=0, in_function=True)
        self._opset = outside

    def graph(self, graph: onnx.GraphProto, outer: tuple[set[str], ...], depth: int) -> None:
        if depth > limits.SUBGRAPH_DEPTH:
            raise ModelError(f"graphs are nested more than {limits.SUBGRAPH_DEPTH} deep, in {quoted(graph.name)}")
        known = {""}  # an optional input that is left out
        for value in graph.input:
            check_type(value, "input", least=1)
            known.add(value.name)
        for value in graph.value_info:
            check_type(value, "tensor", least=0)
        for value in graph.output:
            check_type(value, "output", least=0)
        for tensor in graph.initializer:
            check_tensor(tensor, f"initializer {quoted(tensor.name)}")
            known.add(tensor.name)
        for sparse in graph.sparse_initializer:
            check_sparse_tensor(sparse, f"initializer {quoted(sparse.values.name)}")
            known.add(sparse.values.name)
        self._node_list(graph.node, (known, *outer), depth, in_function=False)
        for value in graph.output:
            if not _is_known(value.name, (known, *outer)):
                raise ModelError(f"output {quoted(value.name)} is produced by no node")

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
                    raise ModelError(f"{where} writes {quoted(output)}, which exists already; rename one")
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
            check_name(name, where)
        for name in node.input:
            if not _is_known(name, scopes):
                raise ModelError(
                    f"{where} reads {quoted(name)}, which nothing before it produces; "
                    "the nodes form a cycle, stand in the wrong order, or one is missing"
                )
        if node.domain in _DEFAULT_DOMAINS:
            check_signature(node, where, self._opset)
        seen: set[str] = set()
        for attribute in node.attribute:
            if attribute.name in seen:
                raise ModelError(f"{where} has two attributes called {quoted(attribute.name)}")
            seen.add(attribute.name)
            if attribute.ref_attr_name:
                if not in_function:
                    raise ModelError(f"{where} refers to an attribute of a function and is in none")
                continue
            check_attribute(node, attribute, where)
            for graph in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                self.graph(graph, scopes, depth + 1)
        check_window(node, where)


def _is_known(name: str, scopes: Iterable[set[str]]) -> bool:
    return any(name in scope for scope in scopes)


def _node_label(node: onnx.NodeProto, index: int) -> str:
    """How errors name a node: by its name, or by its place where it has none."""
    return f"node {quoted(node.name) if node.name else index} ({shown(node.op_type, 60)})"
