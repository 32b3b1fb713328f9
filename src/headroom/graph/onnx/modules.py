"""From what exporters write into a node back to the user's module."""

from __future__ import annotations

import ast

import onnx

#: The newer exporter writes the chain of modules as a printed Python list, outermost first and the
#: operator's own name last.
_SCOPES = "pkg.torch.onnx.name_scopes"


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
