"""Named files that crash, hang or exhaust what reads them: each gives the sentence that says what is wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable

import onnx
import pytest

from graph.safety import hostile
from graph.safety.hostile import node, value
from graph.safety.reading import Read
from headroom.errors import ModelError
from headroom.graph.graph import Graph

HUGE = 2**62


def slice_of_a_negative_dimension() -> onnx.ModelProto:
    """A file of fewer than 143 bytes that aborts shape inference and the full check of the ONNX library."""
    return hostile.model(
        [node("Slice", ["x", "a", "b"], ["y"])],
        [value("x", (-1,))],
        constants=[hostile.ints("a", [0]), hostile.ints("b", [1])],
        opset=13,
    )


def _twice(made: onnx.NodeProto) -> onnx.NodeProto:
    made.attribute.add().CopyFrom(made.attribute[0])
    return made


REFUSED: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "a slice of a dimension of -1": (slice_of_a_negative_dimension, "has a dimension of -1"),
    "a batch of -1": (
        lambda: hostile.model([node("Relu", ["x"], ["y"])], [value("x", (-1, 3, 8, 8))]),
        "input 'x' has a dimension of -1; a dimension is 1 to 2147483647, or a symbol",
    ),
    "an empty input": (
        lambda: hostile.model([node("Relu", ["x"], ["y"])], [value("x", (0, 3))]),
        "input 'x' has a dimension of 0",
    ),
    "a dimension past 32 bits": (
        lambda: hostile.model([node("Relu", ["x"], ["y"])], [value("x", (2**31, 3))]),
        "has a dimension of 2147483648",
    ),
    "dimensions whose product overflows": (
        lambda: hostile.model([node("Relu", ["x"], ["y"])], [value("x", (2**31 - 1,) * 3)]),
        "elements, more than",
    ),
    "a thousand dimensions": (
        lambda: hostile.model([node("Relu", ["x"], ["y"])], [value("x", (1,) * 1000)]),
        "has 1000 dimensions",
    ),
    "a convolution of no groups": (
        lambda: hostile.conv(group=0),
        "node 'the_conv' (Conv) has group 0; it must be 1 to 2147483647",
    ),
    "a convolution of -8 groups": (lambda: hostile.conv(group=-8), "has group -8; it must be"),
    "groups that do not divide the channels": (lambda: hostile.conv(group=3), "the_conv"),
    "a group of 0 through a function": (lambda: hostile.function_with_group(0), "it must be"),
    "a stride of 0": (lambda: hostile.conv(strides=[0, 1]), "has strides 0, 1; it must be 1 to"),
    "a negative dilation": (lambda: hostile.conv(dilations=[1, -1]), "has dilations 1, -1"),
    "a negative padding": (lambda: hostile.conv(pads=[0, 0, -1, 0]), "has pads 0, 0, -1, 0"),
    "a stride per dimension too few": (
        lambda: hostile.conv(strides=[1], kernel_shape=[3, 3]),
        "different numbers of dimensions: strides for 1, kernel_shape for 2",
    ),
    "strides for three dimensions of two": (lambda: hostile.conv(strides=[1, 1, 1]), "the_conv"),
    "text where a number belongs": (
        lambda: hostile.conv(group="many"),
        "gives attribute 'group' as STRING and it must be INT",
    ),
    "an attribute twice": (
        lambda: hostile.model([_twice(node("Softmax", ["x"], ["y"], axis=1))]),
        "has two attributes called 'axis'",
    ),
    "a cast to no type": (
        lambda: hostile.model([node("Cast", ["x"], ["y"], to=99)]),
        "has to 99; it must be an element type",
    ),
    "a transposition that is none": (
        lambda: hostile.model([node("Transpose", ["x"], ["y"], perm=[0, 0, 1, 2])]),
        "has perm 0, 0, 1, 2; it must be a permutation of 0 to 3",
    ),
    "an equation without end": (
        # The library's inference loops over it for ever.
        lambda: hostile.model([node("Einsum", ["x", "x"], ["y"], equation=b"\xff\x00")], [value("x", ())]),
        "it must be an equation such as ij,jk->ik",
    ),
    "an equation of ten thousand letters": (
        lambda: hostile.model([node("Einsum", ["x", "x"], ["y"], equation="abcd," * 5000 + "->a")]),
        "it must be an equation such as ij,jk->ik",
    ),
    "an equation that is none": (
        lambda: hostile.model([node("Einsum", ["x"], ["y"], equation="->->...")]),
        "has equation ->->...; it must be an equation",
    ),
    "a cycle": (
        lambda: hostile.model([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"])], outputs=["b"]),
        "reads 'b', which nothing before it produces; the nodes form a cycle",
    ),
    "a node that reads itself": (
        lambda: hostile.model([node("Add", ["x", "y"], ["y"])]),
        "reads 'y', which nothing before it produces",
    ),
    "an output that nobody produces": (
        lambda: hostile.model([node("Relu", ["x"], ["z"])]),
        "output 'y' is produced by no node",
    ),
    "two nodes that write one tensor": (
        lambda: hostile.model([node("Relu", ["x"], ["y"]), node("Tanh", ["x"], ["y"])]),
        "node 'the_tanh' (Tanh) writes 'y', which exists already",
    ),
    "a node that writes the input": (
        lambda: hostile.model([node("Relu", ["x"], ["x"])], outputs=["x"]),
        "writes 'x', which exists already",
    ),
    "an opset of the future": (lambda: hostile.with_versions(opset=999), "it uses opset 999"),
    "an opset of -1": (lambda: hostile.with_versions(opset=-1), "it uses opset -1"),
    "an IR of the future": (lambda: hostile.with_versions(ir=99), "IR version 99"),
    "a megabyte of name": (
        lambda: hostile.model([node("Relu", ["x"], ["y" * 1_000_000])], outputs=["y" * 1_000_000]),
        "a name of 1000000 characters, more than 1024",
    ),
    "a megabyte of symbol": (
        lambda: hostile.model([node("Relu", ["x"], ["y"])], [value("x", ("N" * 1_000_000, 3))]),
        "a name of 1000000 characters",
    ),
    "thirty thousand nodes": (lambda: hostile.chain(30_000), "more than 20000 nodes"),
    "an operator with 5,000 inputs": (
        lambda: hostile.model([node("Concat", ["x"] * 5000, ["y"], axis=0)]),
        "more than 4096 inputs",
    ),
    "a million values in an attribute": (
        lambda: hostile.conv(kernel_shape=[1] * 200_000),
        "200000 values in 'kernel_shape'",
    ),
    "branches twenty deep": (lambda: hostile.nested_branches(20), "graphs are nested more than 8 deep"),
    "a function that calls itself": (hostile.self_calling_function, "expands into too much"),
    "functions that multiply": (lambda: hostile.laughing_functions(12), "expands into too much"),
    "a tensor that doubles sixty times": (lambda: hostile.doubling(60), "has a dimension of"),
    "an expansion past all memory": (
        lambda: hostile.by_constant("Expand", [2**31 - 1, 2**31 - 1, 1, 1, 8, 8]),
        "more than",
    ),
    "a constant past all memory": (lambda: hostile.filled([2**31 - 1] * 4), "more than"),
    "a constant of negative size": (lambda: hostile.filled([-5, 3]), "the_constantofshape"),
    "a tile past all memory": (
        lambda: hostile.by_constant("Tile", [HUGE, 1, 1, 1]),
        "has a dimension of 4611686018427387904",
    ),
    "a reshape to a negative size": (lambda: hostile.by_constant("Reshape", [-7, 8]), "the_reshape"),
    "a reshape with two open sizes": (lambda: hostile.by_constant("Reshape", [-1, -1]), "the_reshape"),
    "data longer than its shape": (
        lambda: hostile.with_initializer(data_type=onnx.TensorProto.INT64, int64_data=[1] * 99),
        "holds 99 values and its shape has room for 8",
    ),
    "a weight of negative size": (
        lambda: hostile.with_initializer(dims=[-8]),
        "initializer 'w' has a dimension of -8",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_killer_is_refused_with_its_reason(name: str, read: Read) -> None:
    build, sentence = REFUSED[name]
    error = read(build().SerializeToString())
    assert isinstance(error, ModelError)
    assert sentence in str(error)


SURVIVED: dict[str, Callable[[], onnx.ModelProto]] = {
    "a constant that doubles sixty times": lambda: hostile.doubling_constant(60),
    "a loop of 2^62 turns": lambda: hostile.loop(HUGE),
    "a loop of -1 turns": lambda: hostile.loop(-1),
    "a loop of a million turns": lambda: hostile.loop(1_000_000),
    "a range without end": lambda: hostile.model(
        [node("Range", ["a", "b", "c"], ["y"])],
        constants=[hostile.ints(n, [v], shape=()) for n, v in (("a", 0), ("b", HUGE), ("c", 1))],
    ),
    "a range of step 0": lambda: hostile.model(
        [node("Range", ["a", "b", "c"], ["y"])],
        constants=[hostile.ints(n, [v], shape=()) for n, v in (("a", 0), ("b", 9), ("c", 0))],
    ),
    "a padding past all memory": lambda: hostile.by_constant("Pad", [HUGE] * 8),
    "a padding that eats the tensor": lambda: hostile.by_constant("Pad", [-9] * 8),
    "a slice of step 0": lambda: hostile.model(
        [node("Slice", ["x", "a", "a", "a", "a"], ["y"])], constants=[hostile.ints("a", [0])]
    ),
    "a split into nothing": lambda: hostile.by_constant("Split", [0, 0], axis=0),
    "a top-k of -1": lambda: hostile.model([node("TopK", ["x", "k"], ["y", "i"])], constants=[hostile.ints("k", [-1])]),
    "a window larger than its input": lambda: hostile.model([node("MaxPool", ["x"], ["y"], kernel_shape=[99, 99])]),
    "an operator of nobody": lambda: hostile.model([node("Mystery", ["x"], ["y"], domain="nowhere")]),
    "raw data of another length": lambda: hostile.with_initializer(raw_data=b"123"),
    "no node at all": lambda: hostile.model([], outputs=["x"]),
    "no input, no output, no node": lambda: hostile.model([], [], []),
}


@pytest.mark.parametrize("name", SURVIVED)
def test_a_killer_is_survived(name: str, read: Read) -> None:
    result = read(SURVIVED[name]().SerializeToString())
    assert isinstance(result, Graph | ModelError)
    assert "stumbled" not in str(result), "an accident, not a check, stopped it"


@pytest.mark.alone
def test_twenty_thousand_nodes_are_read_in_the_promised_time(read: Read) -> None:
    assert isinstance(read(hostile.chain(20_000).SerializeToString()), Graph)


NAMES = {
    "markup": "<script>alert(1)</script>&amp;",
    "a terminal's escape codes": "\x1b[31mred\x1b]0;title\x07",
    "bidirectional marks": "user\u202egnp.exe\u2066\u2069\u200f",
    "line breaks": "a\nb\r\nc\u2028d",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_from_strangers_are_printed_as_one_plain_line(name: str, read: Read) -> None:
    broken = hostile.model([node("Conv", ["x", NAMES[name]], ["y"])])
    error = read(broken.SerializeToString())  # the fixture asserts that the sentence is printable
    assert isinstance(error, ModelError)
    assert "which nothing before it produces" in str(error)


@pytest.mark.parametrize("name", NAMES)
def test_names_from_strangers_reach_the_graph_unchanged(name: str, read: Read) -> None:
    graph = read(hostile.model([node("Relu", ["x"], [NAMES[name]])], outputs=[NAMES[name]]).SerializeToString())
    assert isinstance(graph, Graph)
    assert graph.layers[0].outputs[0].name == NAMES[name]


@pytest.mark.parametrize("depth", [9, 30, 64, 100, 10_000])
def test_nesting_by_hand_is_refused(depth: int, read: Read) -> None:
    error = read(hostile.nested_messages(depth))
    assert isinstance(error, ModelError)
    assert "nested" in str(error) or "cannot parse" in str(error)


def test_the_slice_kills_the_library_itself() -> None:
    """The corpus keeps its point: without our checks this file ends the process that infers its shapes."""
    content = slice_of_a_negative_dimension().SerializeToString()
    assert len(content) < 143
    program = (
        "import sys, onnx; from onnx import shape_inference;"
        "shape_inference.infer_shapes(onnx.ModelProto.FromString(sys.stdin.buffer.read()))"
    )
    ended = subprocess.run([sys.executable, "-c", program], input=content, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGABRT
