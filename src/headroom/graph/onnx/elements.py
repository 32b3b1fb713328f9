"""ONNX element types by the names that :class:`~headroom.graph.tensor.TensorSpec` uses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, TypeProto, numpy_helper

_NAMES = {
    TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64", TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16", TensorProto.UINT8: "uint8", TensorProto.INT8: "int8",
    TensorProto.UINT16: "uint16", TensorProto.INT16: "int16", TensorProto.INT32: "int32",
    TensorProto.INT64: "int64", TensorProto.UINT32: "uint32", TensorProto.UINT64: "uint64",
    TensorProto.STRING: "string", TensorProto.BOOL: "bool", TensorProto.COMPLEX64: "complex64",
    TensorProto.COMPLEX128: "complex128",
}  # fmt: skip

_NUMBERS = {name: number for number, name in _NAMES.items()}

#: Contents are only tracked up to this many values: shapes, indices and masks (1024 positions), never weights.
TRACKED_VALUES = 1 << 20

#: A known weight of a few values (a scale, an epsilon) can decide a shape; larger floats never do.
TRACKED_FLOATS = 1 << 12


def element_name(number: int) -> str:
    """The name of an ONNX element type.

    Types of 8 bits and less that are not integers count as ``float8``; 4-bit integers are stored one a byte.
    """
    if number in _NAMES:
        return _NAMES[number]
    name = TensorProto.DataType.Name(number).lower()
    if name.startswith("float"):
        return "float8"
    return "uint8" if name.startswith("uint") else "int8"


def element_number(name: str) -> int:
    """The ONNX number of an element type; 8-bit floats share one."""
    return int(_NUMBERS.get(name, TensorProto.FLOAT8E4M3FN))


def tensor_type(shape: tuple[int, ...], element: str) -> TypeProto:
    """The type that the ONNX library's inference reads."""
    result = TypeProto()
    tensor = result.tensor_type
    tensor.elem_type = element_number(element)
    tensor.shape.SetInParent()
    for size in shape:
        tensor.shape.dim.add().dim_value = size
    return result


def tensor_data(tensor: TensorProto) -> NDArray[Any] | None:
    """A tensor's contents if the file holds them and they are small, else ``None``. Opens nothing."""
    elements = 1
    for size in tensor.dims:
        elements *= size
    if tensor.data_location == TensorProto.EXTERNAL or tensor.data_type not in _NAMES or elements < 0:
        return None
    floating = element_name(tensor.data_type).startswith(("float", "bfloat"))
    if elements > (TRACKED_FLOATS if floating else TRACKED_VALUES):
        return None
    try:
        data = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, OverflowError):
        # Bytes that were cut away or never fitted the shape: the shape alone is used.
        return None
    return data if data.dtype.kind in "iufb" and data.shape == tuple(tensor.dims) else None


def data_proto(data: NDArray[Any], name: str) -> TensorProto:
    """Contents in the form that the ONNX library's inference reads."""
    return numpy_helper.from_array(np.ascontiguousarray(data).reshape(data.shape), name)
