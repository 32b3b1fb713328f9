"""Checks of what a file declares: names, element types, dimensions, tensors.

Each takes ``where``, the words for the place in the model, and raises a ModelError that starts with them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx

from headroom.errors import ModelError
from headroom.graph.onnx import limits
from headroom.text import plain_line


def check_type(value: onnx.ValueInfoProto, role: str, least: int) -> None:
    """Dimensions of a declared tensor: a symbol, or a size of at least ``least``."""
    where = f"{role} {quoted(value.name)}"
    check_name(value.name, role)
    if not value.HasField("type") or not value.type.HasField("tensor_type"):
        return
    check_element_type(value.type.tensor_type.elem_type, where)
    dims = value.type.tensor_type.shape.dim
    sizes = [dim.dim_value for dim in dims if dim.HasField("dim_value")]
    check_sizes(sizes, where, least)
    if len(dims) > limits.RANK:
        raise ModelError(f"{where} has {len(dims)} dimensions, more than {limits.RANK}")
    for dim in dims:
        check_name(dim.dim_param, where)


def check_tensor(tensor: onnx.TensorProto, where: str) -> None:
    check_name(tensor.name, where)
    check_element_type(tensor.data_type, where)
    check_sizes(tensor.dims, where, least=0)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return  # its data is elsewhere, and is not looked for
    elements = math.prod(tensor.dims)
    count = max(len(tensor.int32_data), len(tensor.int64_data), len(tensor.uint64_data))
    if count > elements:
        raise ModelError(f"{where} holds {count} values and its shape has room for {elements}")


def check_element_type(number: int, where: str) -> None:
    if number not in onnx.TensorProto.DataType.values():
        raise ModelError(f"{where} has elements of type {number}, which ONNX does not define")


def check_sparse_tensor(sparse: onnx.SparseTensorProto, where: str) -> None:
    check_sizes(sparse.dims, where, least=0)
    check_tensor(sparse.values, where)
    check_tensor(sparse.indices, where)


def check_sizes(sizes: Sequence[int], where: str, least: int) -> None:
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


def check_name(name: str | bytes, where: str) -> None:
    if isinstance(name, bytes):
        raise ModelError(f"{where} has a name that is not text: {quoted(name)}; the file is damaged")
    if len(name) > limits.NAME_CHARACTERS:
        raise ModelError(
            f"{where} has a name of {len(name)} characters, more than {limits.NAME_CHARACTERS}: {quoted(name)}"
        )


def quoted(name: str | bytes) -> str:
    return f"'{shown(name, 120)}'"


def shown(name: str | bytes, characters: int) -> str:
    """A name for people. Protobuf hands out bytes where a file's text is not valid."""
    return plain_line(name if isinstance(name, str) else name.decode(errors="replace"), characters)
