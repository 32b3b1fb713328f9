"""Every attribute of every operator, one hostile value at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import onnx
import pytest
from onnx import defs

from graph.safety import hostile
from graph.safety.reading import Read
from headroom.errors import ModelError
from headroom.graph.graph import Graph

TYPE = onnx.AttributeProto.AttributeType

HOSTILE: dict[int, list[dict[str, Any]]] = {
    TYPE.INT: [{"i": i} for i in (0, -1, 7, 2**31, 2**63 - 1, -(2**63))],
    TYPE.INTS: [
        {"ints": ints} for ints in ([], [0], [0, 0], [-1, -1], [5, 5, 5, 5], [2**31, 2**31], [2**62] * 4, [1] * 65)
    ],
    TYPE.FLOAT: [{"f": f} for f in (0.0, -1.0, 3e38, float("nan"), float("inf"))],
    TYPE.FLOATS: [{"floats": f} for f in ([], [0.0] * 4, [3e38] * 4, [float("nan")] * 4, [-1.0] * 4)],
    TYPE.STRING: [{"s": s} for s in (b"", b"nonsense", b"\xff\xfe\x00", b"->" * 9, b"a" * 100_000)],
    TYPE.STRINGS: [{"strings": s} for s in ([], [b""], [b"\xff"] * 3, [b"nonsense"] * 99)],
    TYPE.TENSOR: [
        {"t": onnx.TensorProto()},
        {"t": onnx.TensorProto(data_type=99, dims=[1])},
        {"t": onnx.TensorProto(data_type=1, dims=[-1])},
        {"t": onnx.TensorProto(data_type=1, dims=[2**62, 2**62])},
        {"t": onnx.TensorProto(data_type=7, dims=[3], raw_data=b"123")},
        {"t": hostile.external("t", (3,), "../../etc/passwd")},
    ],
    TYPE.GRAPH: [{"g": onnx.GraphProto()}, {"g": hostile.graph([hostile.node("Relu", ["q"], ["q"])])}],
    TYPE.SPARSE_TENSOR: [{"sparse_tensor": onnx.SparseTensorProto(dims=[-1, 2**62])}],
    TYPE.TYPE_PROTO: [{"tp": onnx.TypeProto()}],
}


def operators() -> dict[str, dict[tuple[str, int], defs.OpSchema]]:
    """Per standard operator, the newest version with each attribute (and type of it) that it ever had."""
    found: dict[str, dict[tuple[str, int], defs.OpSchema]] = defaultdict(dict)
    for schema in sorted(defs.get_all_schemas_with_history(), key=lambda schema: schema.since_version):
        for attribute in schema.attributes.values() if schema.domain == "" else ():
            found[schema.name][attribute.name, int(attribute.type.value)] = schema
    return found


OPERATORS = operators()

#: Operand shapes with which the operator would run, were it not for the hostile attribute.
SHAPES: dict[str, list[tuple[int, ...]]] = {
    "Conv": [(1, 8, 8, 8), (16, 8, 3, 3)],
    "ConvTranspose": [(1, 8, 8, 8), (8, 16, 3, 3)],
    "Gemm": [(8, 8), (8, 8), (8,)],
    "GRU": [(5, 1, 8), (1, 24, 8), (1, 24, 8)],
    "LSTM": [(5, 1, 8), (1, 32, 8), (1, 32, 8)],
    "RNN": [(5, 1, 8), (1, 8, 8), (1, 8, 8)],
}


def hostile_models(schema: defs.OpSchema, name: str, kind: int) -> Iterator[tuple[str, onnx.ModelProto]]:
    """The operator once per hostile value of an attribute, its required attributes at their mildest."""
    shapes = SHAPES.get(schema.name, [(1, 8, 8, 8)] * max(schema.min_input, 1))
    reads = [f"x{i}" for i in range(min(len(shapes), schema.max_input))]
    inputs = [hostile.value(read, shape) for read, shape in zip(reads, shapes, strict=False)]
    writes = [f"y{i}" for i in range(max(schema.min_output, 1))]
    for values in HOSTILE[kind]:
        node = hostile.node(schema.name, reads, writes)
        node.attribute.append(onnx.AttributeProto(name=name, type=kind, **values))
        for other in schema.attributes.values():
            if other.required and other.name != name:
                number = int(other.type.value)
                node.attribute.append(onnx.AttributeProto(name=other.name, type=number, **HOSTILE[number][0]))
        label = f"{schema.name}-{schema.since_version} {name}={str(values)[:60]}"
        yield label, hostile.model([node], inputs, writes, opset=schema.since_version)


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_no_attribute_value_harms_the_reader(operator: str, read: Read) -> None:
    for (name, kind), schema in OPERATORS[operator].items():
        for label, model in hostile_models(schema, name, kind):
            result = read(model.SerializeToString())
            assert isinstance(result, Graph | ModelError), label
            assert "ended by SIG" not in str(result), f"{label} reached native code that died of it: {result}"
            assert "stopped after" not in str(result), f"{label} takes for ever"


MEANINGLESS = [
    ("Conv", {"group": 0}),
    ("Conv", {"kernel_shape": [0, 0]}),
    ("Conv", {"strides": [0, 0]}),
    ("Conv", {"dilations": [0, 0]}),
    ("Conv", {"pads": [-1, 0, 0, 0]}),
    ("Conv", {"pads": [1, 1, 1]}),
    ("Conv", {"auto_pad": "SOME"}),
    ("ConvTranspose", {"group": 0}),
    ("ConvTranspose", {"output_padding": [-1, 0]}),
    ("ConvTranspose", {"output_shape": [0, 8]}),
    ("MaxPool", {"kernel_shape": [0, 2]}),
    ("MaxPool", {"kernel_shape": [2, 2], "strides": [-1, 1]}),
    ("MaxPool", {"kernel_shape": [2, 2], "ceil_mode": 2}),
    ("AveragePool", {"kernel_shape": [2, 2], "dilations": [0, 1]}),
    ("LpPool", {"kernel_shape": [2, 2], "p": 0}),
    ("LRN", {"size": 0}),
    ("Concat", {"axis": 99}),
    ("Concat", {"axis": 5}),
    ("Flatten", {"axis": 9}),
    ("Softmax", {"axis": -9}),
    ("Transpose", {"perm": [3, 2, 1]}),
    ("DepthToSpace", {"blocksize": 0}),
    ("SpaceToDepth", {"blocksize": -2}),
    ("EyeLike", {"dtype": 77}),
    ("RandomNormal", {"shape": [2**31 - 1] * 3}),
    ("RandomUniform", {"shape": [-1, 2]}),
    ("LSTM", {"hidden_size": 0}),
    ("LSTM", {"hidden_size": 8, "direction": "sideways"}),
    ("GRU", {"hidden_size": -8}),
    ("Split", {"num_outputs": 0}),
]


@pytest.mark.parametrize(("operator", "attributes"), MEANINGLESS, ids=lambda part: str(part))
def test_a_meaningless_attribute_is_refused_by_name(operator: str, attributes: dict[str, Any], read: Read) -> None:
    schema = defs.get_schema(operator)
    shapes = SHAPES.get(operator, [(1, 8, 8, 8)] * schema.min_input)
    names = [f"x{i}" for i in range(len(shapes))]
    node = hostile.node(operator, names, ["y"], **attributes)
    inputs = [hostile.value(name, shape) for name, shape in zip(names, shapes, strict=True)]
    error = read(hostile.model([node], inputs).SerializeToString())
    assert isinstance(error, ModelError)
    assert f"the_{operator.lower()}" in str(error)
    assert "stumbled" not in str(error)


def test_attributes_of_unknown_operators_may_mean_anything(read: Read) -> None:
    node = hostile.node("Mine", ["x"], ["t"], domain="my.own", axis=-99, size=0, hash=2**63 - 1)
    result = read(hostile.model([node, hostile.node("Relu", ["x"], ["y"])]).SerializeToString())
    assert "must be" not in str(result)
