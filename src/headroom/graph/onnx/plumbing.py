"""Weight plumbing: what is a weight, under which stored tensor it counts, and what of a node's operands is one."""

from __future__ import annotations

import numpy as np
import onnx

from headroom.graph.onnx.call import Call, Value
from headroom.graph.onnx.elements import element_name, tensor_data
from headroom.graph.onnx.operators import SETTINGS
from headroom.graph.onnx.operators.registry import key_of
from headroom.graph.tensor import TensorSpec

#: Operators whose result is a weight in other clothes: the same stored bytes.
_VIEWS_OF_WEIGHTS = frozenset(
    {"Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Cast", "CastLike", "DequantizeLinear"}
)


#: The Constant operator's attributes that hold plain numbers.
_NUMBERS = {"value_int": np.int64, "value_ints": np.int64, "value_float": np.float32, "value_floats": np.float32}


def weight(tensor: onnx.TensorProto, name: str) -> Value:
    """A tensor of the file, with its contents if they are there and small."""
    spec = TensorSpec(name, tuple(tensor.dims), element_name(tensor.data_type))
    return Value(spec, constant=True, data=tensor_data(tensor))


def constant_of(call: Call, name: str) -> Value | None:
    """The result of a Constant node; ``None`` for text and sparse contents, which only have a shape."""
    tensor = call.attribute("value")
    if isinstance(tensor, onnx.TensorProto):
        return weight(tensor, name)
    for attribute, kind in _NUMBERS.items():
        if call.attribute(attribute) is not None:
            data = np.array(call.attribute(attribute), kind)
            return Value(TensorSpec(name, data.shape, data.dtype.name), constant=True, data=data)
    return None


def stored_under(call: Call | None) -> TensorSpec | None:
    """The stored weight that the result of a call is a view of, if it is one."""
    if call is None or call.operator not in _VIEWS_OF_WEIGHTS or not call.inputs or call.inputs[0] is None:
        return None
    source = call.inputs[0]
    return source.stored or source.spec


def split_operands(call: Call) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """What the layer reads: tensors made at run time, each once, and weights. Settings are neither.

    Exporters store equal weights once, so a weight may stand for two vectors that a kernel reads.
    """
    settings = SETTINGS.get(key_of(call.domain, call.operator), ())
    inputs: dict[str, TensorSpec] = {}
    weights: list[TensorSpec] = []
    for position, value in enumerate(call.inputs):
        if value is None or position in settings:
            continue
        if value.constant:
            weights.append(value.weight)
        else:
            inputs.setdefault(value.name, value.spec)
    return tuple(inputs.values()), tuple(weights)
