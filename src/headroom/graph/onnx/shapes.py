"""Static shapes of what a node writes.

One node at a time, with the contents of small operands, through the ONNX library's own inference; operators
of other domains have rules in :mod:`.operators`. A size that depends on data takes its largest possible
value, and the graph says so in a note.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import onnx
from onnx import shape_inference

from headroom.errors import ModelError
from headroom.graph.onnx.call import Call, Value
from headroom.graph.onnx.elements import data_proto, element_name, element_number, tensor_type
from headroom.graph.onnx.operators import SETTINGS, SHAPES
from headroom.graph.onnx.operators.registry import Form, key_of
from headroom.graph.onnx.renew import renewed

#: Operators of other domains that give what a standard one gives; the number says how many operands they share.
_LIKE_STANDARD = {
    "com.microsoft::FusedConv": ("Conv", 3),
    "com.microsoft::FusedGemm": ("Gemm", 3),
    "com.microsoft::GemmFastGelu": ("MatMul", 2),
    "com.microsoft::DynamicQuantizeMatMul": ("MatMul", 2),
    "com.microsoft::MatMulIntegerToFloat": ("MatMul", 2),
    "com.microsoft::QLinearAveragePool": ("AveragePool", 1),
    "com.microsoft::QLinearSoftmax": ("Softmax", 1),
    "com.microsoft::DynamicQuantizeLSTM": ("LSTM", 3),
}

#: Contents beyond this many values cannot be a shape, so inference need not see them.
_INFERENCE_VALUES = 1 << 10

_REFUSALS = (shape_inference.InferenceError, KeyError, ValueError, RuntimeError)

Declared = Mapping[str, onnx.TypeProto]


def label(node: onnx.NodeProto) -> str:
    """How error messages name a node."""
    named = node.name or next((f"writing {name}" for name in node.output if name), "without a name")
    return f"{named!r} ({node.op_type})"


class ShapeInference:
    """Infers forms node by node; holds what inference needs to know of the whole model."""

    def __init__(self, opsets: Mapping[str, int], declared: Declared) -> None:
        self._opsets = dict(opsets)
        self._imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        self._declared = declared
        self._lists: dict[str, onnx.TypeProto] = {}
        self._schemas: dict[tuple[str, str], onnx.defs.OpSchema | None] = {}

    def opset(self, domain: str) -> int:
        return self._opsets.get(domain, 1)

    def forms(self, node: onnx.NodeProto, call: Call) -> tuple[Form | None, ...]:
        """Shape and element type of each output, ``None`` for unused optional ones.

        Raises:
            ModelError: the operands do not fit the operator, or a size cannot be known.
        """
        rule = SHAPES.get(key_of(call.domain, call.operator))
        if rule is not None:
            return self._by_rule(node, call, rule(call))
        alike = _LIKE_STANDARD.get(key_of(call.domain, call.operator))
        if alike is not None:
            return self.forms(*_as_standard(node, call, *alike))
        schema = self._schema(call)
        if schema is not None and not schema.has_type_and_shape_inference_function:
            schema, node, call = renewed(schema, node, call)
        inferred = self._infer(schema, node, call) if schema is not None else {}
        return tuple(
            None if not name else self._static(inferred.get(name), self._declared.get(name), node, call, index)
            for index, name in enumerate(node.output)
        )

    def _by_rule(self, node: onnx.NodeProto, call: Call, forms: tuple[Form, ...]) -> tuple[Form | None, ...]:
        if len(forms) < sum(bool(name) for name in node.output):
            raise ModelError(f"node {label(node)} writes more tensors than its operator has; export it again")
        padded = (*forms, *(None,) * len(node.output))[: len(node.output)]
        return tuple(form if name else None for name, form in zip(node.output, padded, strict=True))

    def _schema(self, call: Call) -> onnx.defs.OpSchema | None:
        key = (call.domain, call.operator)
        if key not in self._schemas:
            try:
                domain = "" if call.domain == "ai.onnx" else call.domain
                self._schemas[key] = onnx.defs.get_schema(call.operator, self.opset(domain), domain)
            except onnx.defs.SchemaError:
                self._schemas[key] = None
        return self._schemas[key]

    def _infer(self, schema: onnx.defs.OpSchema, node: onnx.NodeProto, call: Call) -> dict[str, onnx.TypeProto]:
        types: dict[str, onnx.TypeProto] = {}
        data: dict[str, onnx.TensorProto] = {}
        for name, value in zip(node.input, call.inputs, strict=True):
            if value is None:
                continue
            types[name] = self._lists.get(name) or tensor_type(value.shape, value.spec.element)
            if value.data is not None and value.data.size <= _INFERENCE_VALUES:
                data[name] = data_proto(value.data, name)
        try:
            return self._native(schema, node, types, data)
        except onnx.checker.ValidationError:  # an element type that the operator does not take
            return self._as_floats(schema, node, call, types, data)
        except _REFUSALS as error:
            raise ModelError(
                f"node {label(node)} does not fit its operands ({_operands(call)}): {_reason(error)}"
            ) from error

    def _native(
        self,
        schema: onnx.defs.OpSchema,
        node: onnx.NodeProto,
        types: dict[str, onnx.TypeProto],
        data: dict[str, onnx.TensorProto],
    ) -> dict[str, onnx.TypeProto]:
        inferred: dict[str, onnx.TypeProto] = shape_inference.infer_node_outputs(
            schema, node, types, data, opset_imports=self._imports
        )
        return inferred

    def _as_floats(
        self,
        schema: onnx.defs.OpSchema,
        node: onnx.NodeProto,
        call: Call,
        types: dict[str, onnx.TypeProto],
        data: dict[str, onnx.TensorProto],
    ) -> dict[str, onnx.TypeProto]:
        """Tools write int8 convolutions although the operator allows floats only: shapes do not depend on it.

        The outputs take the first operand's element type.
        """
        floats = dict(types)
        settings = SETTINGS.get(key_of(call.domain, call.operator), ())
        for position, (name, value) in enumerate(zip(node.input, call.inputs, strict=True)):
            if value is not None and position not in settings:
                floats[name] = tensor_type(value.shape, "float32")
        try:
            inferred = self._native(schema, node, floats, {})
        except (onnx.checker.ValidationError, *_REFUSALS) as error:
            raise ModelError(
                f"node {label(node)} does not fit its operands ({_operands(call)}): {_reason(error)}"
            ) from error
        first = call.value(0)
        for form in inferred.values():
            if first is not None and form.HasField("tensor_type"):
                form.tensor_type.elem_type = element_number(first.spec.element)
        return inferred

    def _static(
        self,
        inferred: onnx.TypeProto | None,
        declared: onnx.TypeProto | None,
        node: onnx.NodeProto,
        call: Call,
        index: int,
    ) -> Form:
        """The inferred form, completed from what the file declares and from upper bounds."""
        element = "float32"
        for known in (inferred, declared):
            if known is None or not known.HasField("tensor_type"):
                continue
            tensor = known.tensor_type
            if tensor.elem_type:
                element = element_name(tensor.elem_type)
            if not tensor.HasField("shape"):
                continue
            sizes = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
            if all(size >= 0 for size in sizes):
                return tuple(sizes), element
        bound = _upper_bound(call, index)
        if bound is not None:
            call.notes.append(f"{call.operator} {call.name}: its output depends on data; the largest is assumed")
            return bound
        if inferred is not None and not inferred.HasField("tensor_type"):
            # A list or an optional holds references only; its type is needed where it is taken apart.
            self._lists[node.output[index]] = inferred
            return (), element
        if self._schema(call) is None:
            raise ModelError(
                f"node {label(node)} uses the operator {key_of(call.domain, call.operator)}, which is not known, "
                "and the file does not declare the shape of its result; add the shape to the file's value_info"
            )
        raise ModelError(
            f"the shape that node {label(node)} writes cannot be known before it runs; "
            "simplify the model or export it with fixed shapes"
        )


def _as_standard(node: onnx.NodeProto, call: Call, operator: str, operands: int) -> tuple[onnx.NodeProto, Call]:
    """The node as the standard operator that gives the same shapes."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.op_type, copy.domain = operator, ""
    del copy.input[operands:]
    known = onnx.defs.get_schema(operator).attributes
    kept = [attribute for attribute in node.attribute if attribute.name in known]
    del copy.attribute[:]
    copy.attribute.extend(kept)
    return copy, replace(call, operator=operator, domain="", inputs=call.inputs[:operands])


def _operands(call: Call) -> str:
    shapes = ", ".join("x".join(map(str, v.shape)) or "scalar" for v in call.inputs if v is not None)
    return shapes if len(shapes) <= 80 else shapes[:77] + "..."


def _reason(error: Exception) -> str:
    """The inference's own sentence without its prefix and line breaks."""
    text = " ".join(str(error).split())
    return text.rpartition("] ")[2][:160] or type(error).__name__


def _upper_bound(call: Call, index: int) -> Form | None:
    """The largest output of an operator that picks values by looking at them."""
    source = call.value(0)
    if source is None:
        return None
    elements, element = source.spec.elements, source.spec.element
    match call.operator:
        case "NonZero":
            return (len(source.shape), elements), "int64"
        case "Compress":
            axis = call.attribute("axis")
            return ((elements,) if axis is None else source.shape), element
        case "Unique":
            axis = call.attribute("axis")
            if index > 0:
                return ((elements,) if axis is None else (source.shape[axis],)), "int64"
            return ((elements,) if axis is None else source.shape), element
        case "NonMaxSuppression":
            return (_kept_boxes(call), 3), "int64"
    return None


def _kept_boxes(call: Call) -> int:
    boxes, scores = call.shape(0), call.shape(1)
    limit: Value | None = call.value(2)
    most = int(limit.data.ravel()[0]) if limit is not None and limit.data is not None and limit.data.size else 0
    return math.prod(scores[:2]) * min(boxes[1], max(most, 0))
