"""Bodies put in place: local functions, decided branches, loops whose length is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import onnx

Rename = Callable[[str], str]


def function_key(domain: str, name: str, overload: str = "") -> tuple[str, str, str]:
    return ("" if domain == "ai.onnx" else domain, name, overload)


def function_body(function: onnx.FunctionProto, node: onnx.NodeProto, prefix: str) -> list[onnx.NodeProto]:
    """The nodes of a local function as if they stood in the caller's place.

    Formal names become the caller's; inner names get ``prefix`` so that two calls do not clash; references
    to the function's attributes become the values given by the caller, or their defaults.
    """
    outer = dict(zip(function.input, node.input, strict=False))
    outer.update(dict.fromkeys(list(function.input)[len(node.input) :], ""))
    outer.update((formal, actual) for formal, actual in zip(function.output, node.output, strict=False) if actual)
    given = {attribute.name: attribute for attribute in function.attribute_proto}
    given.update({attribute.name: attribute for attribute in node.attribute})
    return _copied(function.node, _renaming(outer, prefix), given)


def branch_body(
    graph: onnx.GraphProto, node: onnx.NodeProto, prefix: str
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The nodes and constants of a branch, its results under the node's output names.

    Names that the branch does not define are the surrounding graph's and stay as they are.
    """
    inner = {name for inner_node in graph.node for name in inner_node.output}
    inner.update(tensor.name for tensor in graph.initializer)
    outer: dict[str, str] = {}
    copies: list[onnx.NodeProto] = []
    for result, actual in zip(graph.output, node.output, strict=False):
        if not actual:
            continue
        if result.name in outer or result.name not in inner or _is_constant(graph, result.name):
            source = outer.get(result.name, prefix + result.name if result.name in inner else result.name)
            copies.append(onnx.helper.make_node("Identity", [source], [actual]))
        else:
            outer[result.name] = actual
    rename = _renaming(outer, prefix, inner)
    return _copied(graph.node, rename, {}) + copies, _constants(graph, rename)


def loop_body(
    graph: onnx.GraphProto, bound: Mapping[str, str], prefix: str
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto], list[str]]:
    """One turn of a loop: nodes, constants and the names of the turn's results.

    ``bound`` maps the body's inputs to tensors outside.
    """
    inner = {name for inner_node in graph.node for name in inner_node.output}
    inner.update(tensor.name for tensor in graph.initializer)
    rename = _renaming(bound, prefix, inner)
    results = [rename(output.name) for output in graph.output]
    return _copied(graph.node, rename, {}), _constants(graph, rename), results


def _is_constant(graph: onnx.GraphProto, name: str) -> bool:
    return any(tensor.name == name for tensor in graph.initializer)


def _constants(graph: onnx.GraphProto, rename: Rename) -> list[onnx.TensorProto]:
    constants = []
    for tensor in graph.initializer:
        copy = onnx.TensorProto()
        copy.CopyFrom(tensor)
        copy.name = rename(tensor.name)
        constants.append(copy)
    return constants


def _renaming(outer: Mapping[str, str], prefix: str, inner: set[str] | None = None) -> Rename:
    """Formal names to actual ones; inner names get the prefix; the empty name stays empty."""

    def rename(name: str) -> str:
        if name in outer:
            return outer[name]
        if not name or (inner is not None and name not in inner):
            return name
        return prefix + name

    return rename


def _copied(
    nodes: Iterable[onnx.NodeProto], rename: Rename, given: Mapping[str, onnx.AttributeProto]
) -> list[onnx.NodeProto]:
    return [_copy(node, rename, given) for node in nodes]


def _copy(node: onnx.NodeProto, rename: Rename, given: Mapping[str, onnx.AttributeProto]) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.name = node.name
    copy.input[:] = [rename(name) for name in node.input]
    copy.output[:] = [rename(name) for name in node.output]
    del copy.attribute[:]
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            if attribute.ref_attr_name in given:
                actual = copy.attribute.add()
                actual.CopyFrom(given[attribute.ref_attr_name])
                actual.name = attribute.name
            continue
        kept = copy.attribute.add()
        kept.CopyFrom(attribute)
        if kept.HasField("g"):
            _rename_graph(kept.g, rename, given)
    return copy


def _rename_graph(graph: onnx.GraphProto, rename: Rename, given: Mapping[str, onnx.AttributeProto]) -> None:
    """A subgraph inside a copied node: what it defines itself keeps its name, what it captures is renamed."""
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    own.update(name for node in graph.node for name in node.output)

    def inside(name: str) -> str:
        return name if name in own else rename(name)

    copies = _copied(graph.node, inside, given)
    del graph.node[:]
    graph.node.extend(copies)
    for value in graph.output:
        value.name = inside(value.name)
