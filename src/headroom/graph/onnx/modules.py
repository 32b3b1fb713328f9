"""From what exporters write into a node back to the user's module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import replace

import onnx

from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec

#: The newer exporter writes the chain of modules as a printed Python list, outermost first and the
#: operator's own name last.
_SCOPES = "pkg.torch.onnx.name_scopes"

#: A parameter or buffer as PyTorch names it: the dotted path of its module and its own name in there.
_PARAMETER = re.compile(
    r"(?P<module>[A-Za-z_][\w-]*(\.[\w-]+)*)\.((in_proj_)?(weight|bias)|running_(mean|var)|weight_[ih]h_l\d+)"
)


def module_of(node: onnx.NodeProto) -> str:
    """Dotted path of the module that a node comes from, or ``""`` where the file does not tell.

    The older exporter names nodes ``/layer1/layer1.0/conv1/Conv``: each part is a module's name, which
    repeats its parent's where the parent is a list. A trailing ``_1`` marks a module's second call.
    """
    for entry in node.metadata_props:
        if entry.key == _SCOPES:
            return _from_scopes(entry.value)
    if node.name.startswith("/"):
        return _from_path(node.name)
    return ""


def _from_scopes(text: str) -> str:
    if len(text) > 10_000:
        return ""
    try:
        scopes = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ""
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        return ""
    # Every scope but the last is a full dotted path; the last names the operator.
    modules = [scope for scope in scopes[:-1] if scope]
    return modules[-1] if modules else ""


def _from_path(name: str) -> str:
    path: list[str] = []
    for part in name.split("/")[1:-1]:
        own = part
        if path and own.startswith(f"{path[-1]}."):
            own = own[len(path[-1]) + 1 :]
        elif path and own.startswith(f"{'.'.join(path)}."):
            own = own[len(".".join(path)) + 1 :]
        path.append(own)
    return ".".join(path)


def named_by_weights(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Give layers that the file does not place the module that their weights belong to.

    ``layer1.0.conv1.weight`` can only be a parameter of ``layer1.0.conv1``. Exporters store equal weights
    once, under the name of the first: one that several layers read only tells the module where it is a
    matrix that they all use alike. Vectors that start as zeros or ones are often equal by chance, and a
    matrix that a lookup shares with a product belongs to two modules.
    """
    readers: dict[str, list[Layer]] = {}
    for layer in layers:
        for name in {tensor.name for tensor in layer.weights}:
            readers.setdefault(name, []).append(layer)
    telling = {
        name
        for name, reading in readers.items()
        if len(reading) == 1 or len({(layer.operator, layer.work) for layer in reading}) == 1
    }
    return tuple(layer if layer.module else _placed(layer, _owner(layer.weights, telling, readers)) for layer in layers)


def _owner(weights: Iterable[TensorSpec], telling: set[str], readers: dict[str, list[Layer]]) -> str:
    """The module that a layer's telling weights agree on, ``""`` if none tells or they disagree."""
    found = set()
    for tensor in weights:
        match = _PARAMETER.fullmatch(tensor.name)
        chance = len(tensor.shape) < 2 and len(readers[tensor.name]) > 1
        if match is not None and tensor.name in telling and not chance:
            found.add(match["module"])
    return found.pop() if len(found) == 1 else ""


def _placed(layer: Layer, module: str) -> Layer:
    if not module:
        return layer
    parts = tuple(replace(part, module=part.module or module) for part in layer.parts)
    return replace(layer, module=module, parts=parts)
