"""Old versions of operators that the ONNX library infers no shapes for, as the later version that it does.

Most of opset 1 is like that. What changed between the versions is small: attributes were renamed, turned into
inputs, or lost a default.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx

from headroom.graph.onnx.call import Call, Value
from headroom.graph.tensor import TensorSpec

Renewed = tuple[onnx.defs.OpSchema, onnx.NodeProto, Call]


def renewed(schema: onnx.defs.OpSchema, node: onnx.NodeProto, call: Call) -> Renewed:
    """The node in the first later version that shapes can be inferred for, or as it is if there is none."""
    later = _later(schema)
    if later is None:
        return schema, node, call
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    adapt = _ADAPT.get(call.operator) if schema.since_version == 1 else None
    if adapt is not None:
        call = adapt(copy, call)
    kept = [attribute for attribute in copy.attribute if attribute.name in later.attributes]
    del copy.attribute[:]
    copy.attribute.extend(kept)
    return later, copy, call


def _later(schema: onnx.defs.OpSchema) -> onnx.defs.OpSchema | None:
    for version in range(schema.since_version, onnx.defs.onnx_opset_version() + 1):
        candidate = onnx.defs.get_schema(schema.name, version, schema.domain)
        if candidate.has_type_and_shape_inference_function:
            return candidate
    return None


def _cast(node: onnx.NodeProto, call: Call) -> Call:
    """The type was written as text."""
    number = onnx.TensorProto.DataType.Value(call.attribute("to").decode().upper())
    return _set(node, call, to=number)


def _concat(node: onnx.NodeProto, call: Call) -> Call:
    return _set(node, call, axis=int(call.attribute("axis", 1)))


def _pad(node: onnx.NodeProto, call: Call) -> Call:
    return _set(node, call, pads=list(call.attribute("paddings")))


def _reshape(node: onnx.NodeProto, call: Call) -> Call:
    """The target was an attribute."""
    target = np.array(call.attribute("shape"), np.int64)
    name = f"{call.name}.shape"
    node.input.append(name)
    value = Value(TensorSpec(name, target.shape, "int64"), constant=True, data=target)
    return replace(call, inputs=(*call.inputs, value))


def _upsample(node: onnx.NodeProto, call: Call) -> Call:
    return _set(node, call, scales=[1.0, 1.0, call.attribute("height_scale"), call.attribute("width_scale")])


def _set(node: onnx.NodeProto, call: Call, **attributes: int | list[int] | list[float]) -> Call:
    others = [attribute for attribute in node.attribute if attribute.name not in attributes]
    del node.attribute[:]
    node.attribute.extend([*others, *(onnx.helper.make_attribute(name, value) for name, value in attributes.items())])
    return replace(call, attributes={**call.attributes, **attributes})


_ADAPT: dict[str, Callable[[onnx.NodeProto, Call], Call]] = {
    "Cast": _cast,
    "Concat": _concat,
    "Pad": _pad,
    "Reshape": _reshape,
    "Upsample": _upsample,
}
