"""Checks of one node: its operands are as many, its attributes of the types and values, that its operator takes."""

from __future__ import annotations

from functools import cache
from typing import Any

import onnx
from onnx import defs

from headroom.errors import ModelError
from headroom.graph.onnx import limits, rules
from headroom.graph.onnx.declared import check_name, check_sparse_tensor, check_tensor, quoted, shown
from headroom.text import plain_line

_KIND = onnx.AttributeProto.AttributeType

#: Domains whose attributes mean what their names say; elsewhere ``size`` may be anything, and nothing computes
#: with it.
_RULED_DOMAINS = frozenset({"", "ai.onnx", "com.microsoft", "com.microsoft.nchwc"})


@cache
def _signature(operator: str, opset: int) -> tuple[Any, dict[str, int], frozenset[str]] | None:
    """The operator's schema, its attributes' types and which are required; ``None`` if it is unknown."""
    try:
        schema = defs.get_schema(operator, opset)
    except defs.SchemaError:
        return None
    attributes = schema.attributes
    required = frozenset(name for name, attribute in attributes.items() if attribute.required)
    types = {name: int(attribute.type.value) for name, attribute in attributes.items()}
    return schema, types, required


def check_signature(node: onnx.NodeProto, where: str, opset: int) -> None:
    """Counts of inputs and outputs, and names and types of attributes, as the operator's schema has them."""
    signature = _signature(node.op_type, opset)
    if signature is None:
        return  # an operator that nobody knows is reported as such, layer by layer
    schema, types, required = signature
    for what, count, least, most in (
        ("inputs", len(node.input), schema.min_input, schema.max_input),
        ("outputs", len(node.output), schema.min_output, schema.max_output),
    ):
        if not least <= count <= most:
            span = str(least) if least == most else f"{least} to {most}" if most < 2**31 - 1 else f"{least} or more"
            raise ModelError(f"{where} has {count} {what}; {node.op_type} in opset {opset} takes {span}")
    for attribute in node.attribute:
        expected = types.get(attribute.name)
        if expected is not None and attribute.type != expected:
            raise ModelError(
                f"{where} gives attribute {quoted(attribute.name)} as {_type_name(attribute.type)} "
                f"and it must be {_type_name(expected)}"
            )
    missing = required - {attribute.name for attribute in node.attribute}
    if missing:
        raise ModelError(f"{where} lacks its attribute {quoted(min(missing))}")


def _type_name(number: int) -> str:
    return str(_KIND.Name(number)) if number in _KIND.values() else f"type {number}"


def check_attribute(node: onnx.NodeProto, attribute: onnx.AttributeProto, where: str) -> None:
    """An attribute's name, count of values, the values themselves, and its tensors."""
    check_name(attribute.name, where)
    values = rules.values_of(attribute)
    if len(values) > limits.ATTRIBUTE_VALUES:
        raise ModelError(
            f"{where} has {len(values)} values in {quoted(attribute.name)}, more than {limits.ATTRIBUTE_VALUES}"
        )
    expected = rules.complaint(node.op_type, attribute) if node.domain in _RULED_DOMAINS else None
    if expected is not None:
        listed = ", ".join(shown(v, 60) if isinstance(v, bytes) else str(v) for v in values[:8])
        raise ModelError(f"{where} has {attribute.name} {plain_line(listed, 60)}; it must be {expected}")
    for tensor in (*((attribute.t,) if attribute.HasField("t") else ()), *attribute.tensors):
        check_tensor(tensor, f"{where}: attribute {quoted(attribute.name)}")
    for sparse in (
        *((attribute.sparse_tensor,) if attribute.HasField("sparse_tensor") else ()),
        *attribute.sparse_tensors,
    ):
        check_sparse_tensor(sparse, f"{where}: attribute {quoted(attribute.name)}")


_PER_DIMENSION = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 1, "pads": 2}


def check_window(node: onnx.NodeProto, where: str) -> None:
    """The attributes of a sliding window speak of equally many dimensions."""
    counts = {
        attribute.name: len(attribute.ints) / _PER_DIMENSION[attribute.name]
        for attribute in node.attribute
        if attribute.name in _PER_DIMENSION and attribute.ints
    }
    if len(set(counts.values())) > 1 and node.op_type != "Col2Im":
        listed = ", ".join(f"{name} for {count:g}" for name, count in counts.items())
        raise ModelError(f"{where} has attributes for different numbers of dimensions: {listed}")
