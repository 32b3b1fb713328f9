"""Give every node stored weights of its own: exporters store equal ones once, or in Constant nodes."""

from __future__ import annotations

import onnx


def unshare(model: onnx.ModelProto) -> None:
    """Store constants and copies of stored tensors, and one tensor per use where several nodes read the same.

    Groups that share a weight would seem to be one, and weights in Constant nodes to be no weights.
    """
    graph = model.graph
    stored = {each.name: each for each in graph.initializer}
    taken = {name for node in graph.node for name in (*node.input, *node.output)} | set(stored)
    outputs = {each.name for each in graph.output}
    kept = []
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in stored and node.output[0] not in outputs:
            stored[node.output[0]] = _copied(graph, stored[node.input[0]], node.output[0])
        elif node.op_type == "Constant" and node.attribute[0].name == "value" and node.output[0] not in outputs:
            stored[node.output[0]] = _copied(graph, node.attribute[0].t, node.output[0])
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    read: set[str] = set()
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name in stored and name in read:
                own = _free_name(name, taken)
                _copied(graph, stored[name], own)
                node.input[position] = own
            read.add(name)


def _copied(graph: onnx.GraphProto, tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    copy = graph.initializer.add()
    copy.CopyFrom(tensor)
    copy.name = name
    return copy


def _free_name(name: str, taken: set[str]) -> str:
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    taken.add(f"{name}_{number}")
    return f"{name}_{number}"
