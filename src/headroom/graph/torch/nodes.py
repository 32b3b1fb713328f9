"""Reading an FX node: its operator, its arguments by name, the shapes of its tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from headroom.errors import ModelError
from headroom.graph.tensor import FIXED_WIDTH_BYTES, FLOAT_WIDTH_BYTES
from headroom.graph.torch.call import Call, Operand


def tensors_of(node: Any) -> tuple[Any, ...]:
    """The fake tensors that a node gives, in order; none for a number or an assertion."""
    value = node.meta.get("val")
    values = value if isinstance(value, tuple | list) else (value,)
    return tuple(v for v in values if is_tensor(v))


def is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def operand_of(tensor: Any, node: Any) -> Operand:
    """Shape and element type of a fake tensor.

    Raises:
        ModelError: a dimension depends on the data.
    """
    if not all(isinstance(size, int) for size in tensor.shape):
        shape = ", ".join(map(str, tensor.shape))
        raise ModelError(
            f"the shape ({shape}) of {node.name} in module {module_path(node) or '(the outermost)'} depends on "
            "values, not on the inputs' shapes; replace it by an operator of fixed size, such as a mask"
        )
    return Operand(tuple(tensor.shape), element_of(tensor), order_of(tensor))


def order_of(tensor: Any) -> tuple[int, ...]:
    """The dimensions of a transposed view as they lie in memory; empty for a tensor in its own order."""
    strides = tensor.stride()
    if tensor.is_contiguous() or not all(isinstance(stride, int) and stride > 0 for stride in strides):
        return ()
    moved = [dim for dim, size in enumerate(tensor.shape) if size != 1]
    in_memory = sorted(moved, key=lambda dim: -strides[dim])
    if in_memory == moved:
        return ()
    places = iter(in_memory)
    return tuple(next(places) if size != 1 else dim for dim, size in enumerate(tensor.shape))


def element_of(tensor: Any) -> str:
    """Headroom's name of an element type: PyTorch's own, with the float8 formats in one."""
    name = str(tensor.dtype).removeprefix("torch.")
    if name.startswith("float8"):
        return "float8"
    known = name in FIXED_WIDTH_BYTES or name in FLOAT_WIDTH_BYTES
    return name if known else name.removeprefix("q")


def storage_of(tensor: Any) -> int:
    """What two tensors share if and only if one is a view of the other (or a tied parameter)."""
    return int(tensor.untyped_storage()._cdata)


def module_path(node: Any) -> str:
    """Dotted path of the innermost of the user's modules that the node was recorded in."""
    stack = node.meta.get("nn_module_stack") or {}
    return str(next(reversed(stack.values()))[0]) if stack else ""


def is_operator(node: Any) -> bool:
    from torch._ops import OpOverload

    return isinstance(node.target, OpOverload)


def operator_name(node: Any) -> str:
    """``relu`` for ``aten.relu_.default``; other namespaces keep theirs: ``mine::fused``."""
    namespace, _, name = node.target._schema.name.partition("::")
    if name.endswith("_") and not name.startswith("__"):
        name = name[:-1]
    return name if namespace == "aten" else f"{namespace}::{name}"


def named_arguments(node: Any) -> dict[str, Any]:
    """The arguments under their names in the operator's schema, defaults filled in."""
    named: dict[str, Any] = {}
    positional = iter(node.args)
    for argument in node.target._schema.arguments:
        if argument.name in node.kwargs:
            named[argument.name] = node.kwargs[argument.name]
        elif not argument.kwarg_only and (given := next(positional, _MISSING)) is not _MISSING:
            named[argument.name] = given
        elif argument.has_default_value():
            named[argument.name] = argument.default_value
    return named


_MISSING = object()


def call_of(node: Any, arguments: dict[str, Any]) -> Call:
    """The node as an operator family sees it."""

    def convert(value: Any) -> Any:
        if is_node(value):
            tensors = tensors_of(value)
            return operand_of(tensors[0], value) if tensors else value
        if isinstance(value, tuple | list):
            return tuple(convert(item) for item in value)
        return value

    outputs = tensors_of(node)
    sources = {storage_of(t) for n in nodes_in(arguments.values()) for t in tensors_of(n)}
    return Call(
        operator=operator_name(node),
        overload=str(node.target._overloadname),
        arguments={name: convert(value) for name, value in arguments.items()},
        outputs=tuple(operand_of(tensor, node) for tensor in outputs),
        is_view=bool(outputs) and all(storage_of(tensor) in sources for tensor in outputs),
    )


def is_node(value: Any) -> bool:
    from torch.fx import Node

    return isinstance(value, Node)


def nodes_in(values: Iterable[Any]) -> Iterator[Any]:
    """Every FX node in nested arguments, in order."""
    for value in values:
        if is_node(value):
            yield value
        elif isinstance(value, tuple | list):
            yield from nodes_in(value)
        elif isinstance(value, dict):
            yield from nodes_in(value.values())


def writes_in_place(node: Any) -> bool:
    """Whether the operator changes its first argument, as ``relu_`` and ``copy_`` do."""
    arguments = node.target._schema.arguments
    alias = arguments[0].alias_info if arguments else None
    return alias is not None and bool(alias.is_write)
