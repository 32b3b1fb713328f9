"""Models that nobody exports: small builders, and files that are out to crash, hang or exhaust their reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from onnx import TensorProto, helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64

Shape = Sequence[int | str | None]


def value(name: str, shape: Shape = (1, 8, 8, 8), element: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element, list(shape))


def ints(name: str, values: Sequence[int], shape: Sequence[int] | None = None) -> onnx.TensorProto:
    """An integer constant."""
    return helper.make_tensor(name, INT64, [len(values)] if shape is None else list(shape), list(values))


def weights(name: str, shape: Sequence[int]) -> onnx.TensorProto:
    """A weight whose contents are nowhere."""
    return external(name, shape, "weights.bin")


def external(name: str, shape: Sequence[int], location: str) -> onnx.TensorProto:
    tensor = onnx.TensorProto(name=name, data_type=FLOAT, dims=list(shape))
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def node(operator: str, reads: Sequence[str], writes: Sequence[str], **attributes: Any) -> onnx.NodeProto:
    """A node; unlike the library's helper it accepts attributes as they come."""
    domain = attributes.pop("domain", "")
    made = helper.make_node(operator, reads, writes, name=f"the_{operator.lower()}", domain=domain)
    for name, content in attributes.items():
        made.attribute.append(
            content if isinstance(content, onnx.AttributeProto) else helper.make_attribute(name, content)
        )
    return made


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto] = (),
    outputs: Sequence[str] = (),
    constants: Sequence[onnx.TensorProto] = (),
) -> onnx.GraphProto:
    made = onnx.GraphProto(name="hostile", node=nodes, input=inputs, initializer=constants)
    for name in outputs:
        made.output.add().name = name
    return made


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto] | None = None,
    outputs: Sequence[str] = ("y",),
    constants: Sequence[onnx.TensorProto] = (),
    opset: int = 20,
    functions: Sequence[onnx.FunctionProto] = (),
    opsets: Mapping[str, int] | None = None,
) -> onnx.ModelProto:
    """A model that reads ``x`` (1x8x8x8) unless told otherwise."""
    made = onnx.ModelProto(ir_version=9, functions=functions)
    made.graph.CopyFrom(graph(nodes, [value("x")] if inputs is None else inputs, outputs, constants))
    for domain, version in {"": opset, **(opsets or {})}.items():
        made.opset_import.add(domain=domain, version=version)
    return made


def conv(**attributes: Any) -> onnx.ModelProto:
    """A 3x3 convolution of 8 to 16 channels with these attributes."""
    return model([node("Conv", ["x", "w"], ["y"], **attributes)], constants=[weights("w", (16, 8, 3, 3))])


def nested_messages(depth: int) -> bytes:
    """Graphs in attributes in nodes in graphs, ``depth`` times, by hand: no library writes so deep."""

    def field(number: int, content: bytes) -> bytes:
        length, encoded = len(content), bytearray()
        while length > 127:
            encoded.append(length & 127 | 128)
            length >>= 7
        return bytes([number << 3 | 2, *encoded, length]) + content

    content = b""
    for _ in range(depth):
        content = field(1, field(5, field(6, content)))
    return bytes([1 << 3, 9]) + field(7, content)


def nested_branches(depth: int) -> onnx.ModelProto:
    """``If`` in ``If``, ``depth`` times."""
    inner = graph([node("Identity", ["x"], ["r0"])], outputs=["r0"])
    for level in range(1, depth + 1):
        branch = node("If", ["c"], [f"r{level}"], then_branch=inner, else_branch=inner)
        # The else branch is short, or the file would double with every level.
        branch.attribute[1].g.CopyFrom(graph([node("Identity", ["x"], ["e"])], outputs=["e"]))
        inner = graph([branch], outputs=[f"r{level}"])
    return model(list(inner.node), [value("x"), value("c", (), TensorProto.BOOL)], outputs=[f"r{depth}"])


def function(name: str, nodes: Sequence[onnx.NodeProto]) -> onnx.FunctionProto:
    """A function of one input ``a`` and one output ``b``."""
    made = onnx.FunctionProto(name=name, domain="local", input=["a"], output=["b"], node=nodes)
    made.opset_import.add(domain="", version=20)
    made.opset_import.add(domain="local", version=1)
    return made


def calls(callee: str, count: int = 2) -> list[onnx.NodeProto]:
    """A function body that calls ``callee`` several times in a row."""
    names = ["a", *(f"t{i}" for i in range(count - 1)), "b"]
    return [node(callee, [names[i]], [names[i + 1]], domain="local") for i in range(count)]


def laughing_functions(levels: int) -> onnx.ModelProto:
    """Each function calls the one below ten times: 10 ** levels nodes once they are put in place."""
    functions = [function("f0", [node("Relu", ["a"], ["b"])])]
    functions += [function(f"f{i}", calls(f"f{i - 1}", 10)) for i in range(1, levels + 1)]
    top = node(f"f{levels}", ["x"], ["y"], domain="local")
    return model([top], functions=functions, opsets={"local": 1})


def self_calling_function() -> onnx.ModelProto:
    top = node("f", ["x"], ["y"], domain="local")
    return model([top], functions=[function("f", calls("f"))], opsets={"local": 1})


def function_with_group(group: int) -> onnx.ModelProto:
    """A convolution in a function whose group arrives under another name."""
    inner = node("Conv", ["a", "w"], ["b"])
    inner.attribute.add(name="group", type=onnx.AttributeProto.INT, ref_attr_name="parts")
    made = onnx.FunctionProto(
        name="f", domain="local", input=["a", "w"], output=["b"], attribute=["parts"], node=[inner]
    )
    made.opset_import.add(domain="", version=20)
    top = node("f", ["x", "w"], ["y"], domain="local", parts=group)
    return model([top], constants=[weights("w", (16, 8, 3, 3))], functions=[made], opsets={"local": 1})


def loop(turns: int) -> onnx.ModelProto:
    """A loop that adds a tensor to itself ``turns`` times."""
    body = graph(
        [node("Identity", ["go"], ["go_on"]), node("Add", ["v", "v"], ["v_out"])],
        [value("i", (), INT64), value("go", (), TensorProto.BOOL), value("v")],
        ["go_on", "v_out"],
    )
    return model([node("Loop", ["turns", "", "x"], ["y"], body=body)], constants=[ints("turns", [turns], shape=())])


def doubling(times: int) -> onnx.ModelProto:
    """A tensor concatenated with itself again and again."""
    names = ["x", *(f"t{i}" for i in range(times - 1)), "y"]
    return model([node("Concat", [names[i]] * 2, [names[i + 1]], axis=0) for i in range(times)])


def doubling_constant(times: int) -> onnx.ModelProto:
    """A shape constant concatenated with itself again and again."""
    names = ["one", *(f"t{i}" for i in range(times))]
    nodes = [node("Concat", [names[i]] * 2, [names[i + 1]], axis=0) for i in range(times)]
    return model([*nodes, node("Expand", ["x", names[-1]], ["y"])], constants=[ints("one", [1])])


def chain(length: int) -> onnx.ModelProto:
    names = ["x", *(f"t{i}" for i in range(length - 1)), "y"]
    return model([node("Relu", [names[i]], [names[i + 1]]) for i in range(length)])


def with_initializer(**changes: Any) -> onnx.ModelProto:
    """An addition of a constant with these fields."""
    tensor = onnx.TensorProto(name="w", data_type=FLOAT, dims=[8])
    for name, content in changes.items():
        if isinstance(content, list):
            del getattr(tensor, name)[:]
            getattr(tensor, name).extend(content)
        else:
            setattr(tensor, name, content)
    return model([node("Add", ["x", "w"], ["y"])], constants=[tensor])


def with_versions(ir: int = 9, opset: int = 20) -> onnx.ModelProto:
    made = chain(1)
    made.ir_version = ir
    made.opset_import[0].version = opset
    return made


def by_constant(operator: str, values: Sequence[int], **attributes: Any) -> onnx.ModelProto:
    """An operator whose second operand says how large its output is."""
    return model([node(operator, ["x", "s"], ["y"], **attributes)], constants=[ints("s", values)])


def filled(shape: Sequence[int]) -> onnx.ModelProto:
    return model(
        [node("ConstantOfShape", ["s"], ["c"]), node("Add", ["c", "c"], ["y"])], [], constants=[ints("s", shape)]
    )
