"""Static input shapes: symbols pinned, the batch set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from headroom.errors import ModelError
from headroom.graph.onnx.elements import element_name
from headroom.graph.tensor import TensorSpec

_LISTED = 8


@dataclass(frozen=True)
class Inputs:
    """The model's inputs at two batches: as exported (``reference``) and as asked for (``target``).

    ``batched`` names the inputs whose leading dimension is the batch. The two are equal unless another
    batch than the exported one was asked for; a symbolic batch counts as exported with 1.
    ``as_exported`` says that the file itself gives every size.
    """

    reference: tuple[TensorSpec, ...]
    target: tuple[TensorSpec, ...]
    batched: frozenset[str]
    reference_batch: int
    batch: int
    as_exported: bool


def data_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Inputs that the caller supplies: up to IR version 3 initializers were listed among the inputs too."""
    known = {tensor.name for tensor in graph.initializer}
    known.update(tensor.values.name for tensor in graph.sparse_initializer)
    return [value for value in graph.input if value.name not in known]


def pin_inputs(graph: onnx.GraphProto, batch: int | None, dims: Mapping[str, int]) -> Inputs:
    """Give every dimension of every input a size.

    A symbol takes its size from ``dims``. The leading dimension of the first input, and of every input that
    shares its symbol or its size, is the batch: ``batch`` sets it, and as a symbol it is 1 by default. A
    dimension without size and name goes by ``INPUT.INDEX``.

    Raises:
        ModelError: a symbol is left without a size, ``dims`` names one that the model does not have, or
            ``batch`` and ``dims`` disagree.
    """
    values = data_inputs(graph)
    symbolic = [(value.name, _element(value), _dimensions(value)) for value in values]
    _refuse_unknown_names(symbolic, dims)
    leading = next((shape[0] for _, _, shape in symbolic if shape), None)
    batched = frozenset(name for name, _, shape in symbolic if shape and shape[0] == leading)
    exported = _exported_batch(leading, dims)
    wanted = exported if batch is None else batch
    if isinstance(leading, str) and leading in dims and wanted != dims[leading]:
        raise ModelError(
            f"--batch {wanted} and --dim {leading}={dims[leading]} set the same dimension; give one of them"
        )
    reference = 1 if isinstance(leading, str) and batch is not None else exported
    return Inputs(
        reference=_pinned(symbolic, dims, batched, reference),
        target=_pinned(symbolic, dims, batched, wanted),
        batched=batched,
        reference_batch=reference,
        batch=wanted,
        as_exported=wanted == leading and not dims and not any(_symbols(shape) for _, _, shape in symbolic),
    )


def _exported_batch(leading: int | str | None, dims: Mapping[str, int]) -> int:
    if isinstance(leading, str):
        return dims.get(leading, 1)
    return 1 if leading is None else leading


def _element(value: onnx.ValueInfoProto) -> str:
    if not value.type.HasField("tensor_type"):
        raise ModelError(
            f"input {value.name!r} is not a tensor; export the model with tensors as inputs, not lists or maps"
        )
    return element_name(value.type.tensor_type.elem_type)


def _dimensions(value: onnx.ValueInfoProto) -> list[int | str]:
    if not value.type.tensor_type.HasField("shape"):
        raise ModelError(f"input {value.name!r} has no shape; export the model with example inputs")
    result: list[int | str] = []
    for index, dim in enumerate(value.type.tensor_type.shape.dim):
        if dim.HasField("dim_value"):
            if dim.dim_value < 1:
                raise ModelError(
                    f"input {value.name!r} has size {dim.dim_value} in dimension {index}; "
                    "export it with a size of at least 1 or a symbol"
                )
            result.append(dim.dim_value)
        else:
            result.append(dim.dim_param or f"{value.name}.{index}")
    return result


def _refuse_unknown_names(symbolic: list[tuple[str, str, list[int | str]]], dims: Mapping[str, int]) -> None:
    symbols = sorted(set().union(*(_symbols(shape) for _, _, shape in symbolic)))
    for name, size in dims.items():
        if name not in symbols:
            known = ", ".join(symbols[:_LISTED]) or "none"
            raise ModelError(f"the model has no dimension named {name!r} to set; it has: {known}")
        if size < 1:
            raise ModelError(f"--dim {name}={size} is below 1; a dimension needs at least one element")


def _symbols(shape: list[int | str]) -> set[str]:
    return {size for size in shape if isinstance(size, str)}


def _pinned(
    symbolic: list[tuple[str, str, list[int | str]]],
    dims: Mapping[str, int],
    batched: frozenset[str],
    batch: int,
) -> tuple[TensorSpec, ...]:
    pinned = []
    leading = {shape[0] for name, _, shape in symbolic if name in batched and isinstance(shape[0], str)}
    for name, element, shape in symbolic:
        sizes = []
        for index, size in enumerate(shape):
            if (index == 0 and name in batched) or size in leading:
                sizes.append(batch)
            elif isinstance(size, int):
                sizes.append(size)
            elif size in dims:
                sizes.append(dims[size])
            else:
                raise ModelError(
                    f"dimension {index} of input {name!r} is the symbol {size!r}; give it a size with --dim {size}=N"
                )
        pinned.append(TensorSpec(name, tuple(sizes), element))
    return tuple(pinned)
