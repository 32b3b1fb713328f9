"""Static input shapes: symbols pinned, the batch found and set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from headroom.errors import ModelError
from headroom.graph.onnx.elements import element_name
from headroom.graph.tensor import TensorSpec

_LISTED = 8

#: Symbols that name something else than the number of samples, although they may stand first.
_LENGTHS = re.compile("seq|len|time|frame|step|height|width|channel|token", re.IGNORECASE)

Size = int | str


@dataclass(frozen=True)
class Inputs:
    """The model's inputs at two batches: as exported (``reference``) and as asked for (``target``).

    ``batched`` gives, for every input that carries the batch, the dimension that does. The two are equal
    unless another batch than the exported one was asked for; a symbolic batch counts as exported with 1.
    ``as_exported`` says that the file itself gives every size.
    """

    reference: tuple[TensorSpec, ...]
    target: tuple[TensorSpec, ...]
    batched: Mapping[str, int]
    reference_batch: int
    batch: int
    as_exported: bool


@dataclass(frozen=True)
class _Input:
    """An input as the file declares it; sizes that are symbols are strings."""

    name: str
    element: str
    shape: tuple[Size, ...]

    @property
    def symbols(self) -> set[str]:
        return {size for size in self.shape if isinstance(size, str)}


def pin_inputs(graph: onnx.GraphProto, batch: int | None, dims: Mapping[str, int]) -> Inputs:
    """Give every dimension of every input a size.

    A symbol takes its size from ``dims``. ``batch`` sets the batch; if that is a symbol it is 1 by default.
    The batch is the symbol that says so in its name, wherever it stands. Else it is the leading dimension of
    the first input and of every input that agrees with it; the second one where a recurrent cell reads the
    input, (length, batch, features). A leading symbol that names a length is none. A dimension without size
    and name goes by ``INPUT.INDEX``.

    Raises:
        ModelError: a symbol is left without a size, ``dims`` names one that the model does not have,
            ``batch`` and ``dims`` disagree, or ``batch`` is given and no dimension is the batch.
    """
    declared = [_declared(value) for value in data_inputs(graph)]
    _refuse_unknown_names(declared, dims)
    size, batched = _find_batch(declared, _sequences(graph))
    if size is None and batch is not None:
        raise ModelError("no dimension of the model's inputs is a batch; set sizes with --dim NAME=N instead")
    exported = dims.get(size, 1) if isinstance(size, str) else (size or 1)
    wanted = exported if batch is None else batch
    if isinstance(size, str) and size in dims and wanted != exported:
        raise ModelError(f"--batch {wanted} and --dim {size}={exported} set the same dimension; give one of them")
    reference = 1 if isinstance(size, str) and batch is not None else exported
    symbol = size if isinstance(size, str) else None
    return Inputs(
        reference=tuple(_pinned(value, dims, batched, symbol, reference) for value in declared),
        target=tuple(_pinned(value, dims, batched, symbol, wanted) for value in declared),
        batched=batched,
        reference_batch=reference,
        batch=wanted,
        as_exported=wanted == exported and not any(value.symbols for value in declared),
    )


def data_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Inputs that the caller supplies: up to IR version 3 initializers were listed among the inputs too."""
    known = {tensor.name for tensor in graph.initializer}
    known.update(tensor.values.name for tensor in graph.sparse_initializer)
    return [value for value in graph.input if value.name not in known]


def _declared(value: onnx.ValueInfoProto) -> _Input:
    if not value.type.HasField("tensor_type"):
        raise ModelError(
            f"input {value.name!r} is not a tensor; export the model with tensors as inputs, not lists or maps"
        )
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        raise ModelError(f"input {value.name!r} has no shape; export the model with example inputs")
    shape: list[Size] = []
    for index, dim in enumerate(tensor.shape.dim):
        if not dim.HasField("dim_value"):
            # A nameless leading dimension is what older exporters made of a free batch.
            shape.append(dim.dim_param or (f"{value.name}.{index}" if index else "batch"))
        elif dim.dim_value < 1:
            raise ModelError(
                f"input {value.name!r} has size {dim.dim_value} in dimension {index}; "
                "export it with a size of at least 1 or a symbol"
            )
        else:
            shape.append(dim.dim_value)
    return _Input(value.name, element_name(tensor.elem_type), tuple(shape))


def _refuse_unknown_names(declared: list[_Input], dims: Mapping[str, int]) -> None:
    symbols = sorted(set().union(*(value.symbols for value in declared)))
    for name, size in dims.items():
        if name not in symbols:
            known = ", ".join(symbols[:_LISTED]) or "none"
            raise ModelError(f"the model has no dimension named {name!r} to set; it has: {known}")
        if size < 1:
            raise ModelError(f"--dim {name}={size} is below 1; a dimension needs at least one element")


def _sequences(graph: onnx.GraphProto) -> set[str]:
    """Inputs that a recurrent cell reads as (length, batch, features), or as a state of (layers, batch, features)."""
    slices = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Slice" and node.input}
    cells = [
        node
        for node in graph.node
        if node.op_type in ("RNN", "GRU", "LSTM")
        and not any(attribute.name == "layout" and attribute.i for attribute in node.attribute)
    ]
    states = {name for node in cells for name in node.input[5:7]}
    return {node.input[0] for node in cells if node.input} | states | {slices.get(name, name) for name in states}


def _find_batch(declared: list[_Input], sequences: set[str]) -> tuple[Size | None, dict[str, int]]:
    """The batch's symbol or size, and the dimension that it is, per input."""
    for value in declared:
        for symbol in value.shape:
            if isinstance(symbol, str) and "batch" in symbol.lower():
                return symbol, {v.name: v.shape.index(symbol) for v in declared if symbol in v.shape}
    places = {v.name: 1 if v.name in sequences and len(v.shape) > 1 else 0 for v in declared}
    first = next((v for v in declared if v.shape), None)
    if first is None:
        return None, {}
    size = first.shape[places[first.name]]
    if isinstance(size, str) and _LENGTHS.search(size):
        return None, {}
    # Beside larger inputs a single number is a setting, not one value per sample.
    setting = (1,) if len(first.shape) > 1 else None
    agreeing = (v for v in declared if v.shape and v.shape != setting and v.shape[places[v.name]] == size)
    return size, {v.name: places[v.name] for v in agreeing}


def _pinned(
    value: _Input, dims: Mapping[str, int], batched: Mapping[str, int], symbol: str | None, batch: int
) -> TensorSpec:
    sizes = []
    for index, size in enumerate(value.shape):
        if batched.get(value.name) == index or (symbol is not None and size == symbol):
            sizes.append(batch)
        elif isinstance(size, int):
            sizes.append(size)
        elif size in dims:
            sizes.append(dims[size])
        else:
            raise ModelError(
                f"dimension {index} of input {value.name!r} is the symbol {size!r}; give it a size with --dim {size}=N"
            )
    return TensorSpec(value.name, tuple(sizes), value.element)
