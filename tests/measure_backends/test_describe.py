"""Graphs of cuDNN compute what their chains compute; computed here from the description, without cuDNN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Attention, Elementwise, Matmul, Normalization, Pooling
from headroom.measure.backends.cudnn.describe import describe, forms_of
from headroom.measure.backends.layouts import layouts_of
from headroom.measure.backends.torch_ops import bind_chain
from headroom.measure.bench import UnsupportedError
from headroom.measure.gradients import gradient
from headroom.measure.task import Task
from measure_backends import interpreter
from measure_backends.stand_ins import (
    batch_norm,
    convolution,
    layer,
    linear,
    operands,
    pointwise,
    residual,
    transposed,
)

pytest.importorskip("cudnn")


def agrees(layers: Sequence[Layer], dtype: DataType = DataType.FP32, tolerance: float = 2e-5) -> int:
    """Check every layout and form of a chain against the reference; how many that were."""
    chain = Chain.of(layers)
    given = operands(chain, dtype)
    tensors = {name: t.double() if t.is_floating_point() else t for name, t in given.sources.items()}
    expected = bind_chain(chain, tensors)(tensors)[0]
    checked = 0
    for layout in layouts_of(Task(chain, dtype)):
        for form in forms_of(chain, layout):
            computed = interpreter.run(describe(chain, dtype, layout, form), given)
            error = (computed - expected).norm() / expected.norm()
            assert error < tolerance, (layout, form, float(error))
            checked += 1
    return checked


CONVOLUTIONS = {
    "plain": convolution(),
    "bias": convolution(bias=True),
    "stride": convolution(stride=2),
    "groups": convolution(groups=2),
    "depthwise": convolution(out_channels=8, groups=8),
    "1x1": convolution(kernel=(1, 1), padding=0),
    "1d": convolution((2, 8, 12), kernel=(3,)),
    "3d": convolution((2, 4, 5, 6, 7), kernel=(3, 3, 3)),
    "transposed": transposed(),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_are_described_in_both_layouts(name):
    assert agrees([CONVOLUTIONS[name]])


@pytest.mark.parametrize("name", [n for n in CONVOLUTIONS if n != "1d"])
def test_a_folded_batch_norm_a_residual_and_an_activation_follow_a_convolution(name):
    anchor = CONVOLUTIONS[name]
    norm = batch_norm(anchor, "n")
    added = residual(norm, "r")
    assert agrees([anchor, norm, added, pointwise("relu", added, "z")]) == 3


def test_asymmetric_padding_is_exact():
    anchor = convolution((1, 4, 7, 7), kernel=(3, 3), stride=2, padding=0)
    work = replace(anchor.work, padding=((0, 1), (1, 2)), out_size=(3, 4))
    assert agrees([replace(anchor, work=work, outputs=(TensorSpec("y", (1, 4, 3, 4)),))])


@pytest.mark.parametrize("direction", ["dgrad", "wgrad"])
@pytest.mark.parametrize("name", ["plain", "stride", "groups", "3d"])
def test_gradients_of_convolutions_are_described(name, direction):
    backward = gradient(CONVOLUTIONS[name], direction)
    assert backward is not None
    assert agrees([backward])


ACTIVATIONS = (
    "relu", "clip", "sigmoid", "tanh", "gelu", "fastgelu", "swish", "hardswish", "hardsigmoid", "elu", "leakyrelu",
    "softplus", "mish", "quickgelu",
)  # fmt: skip


@pytest.mark.parametrize("function", ACTIVATIONS)
def test_activations_follow_a_convolution_and_a_product(function):
    anchor = convolution(bias=True)
    agrees([anchor, pointwise(function, anchor, "z")])
    product = linear(bias=True)
    agrees([product, pointwise(function, product, "z")])


def test_the_pattern_adds_a_residual_before_the_bias_and_a_bias_where_there_is_none():
    anchor = convolution()
    added = residual(anchor, "r")
    chain = Chain.of([anchor, added, pointwise("relu", added, "z")])
    pattern, written = (describe(chain, DataType.BF16, "nhwc", form) for form in ("pattern", "written"))
    modes = [[node.params.get("mode") for node in d.graph.nodes] for d in (pattern, written)]
    assert modes == [[None, "add", "add", "relu"], [None, "add", "relu"]]


def test_a_convolution_alone_has_one_form():
    assert forms_of(Chain.of([convolution()]), "nhwc") == ("",)


def test_several_followers_run_in_order():
    anchor = linear()
    bias = pointwise("add", anchor, "a", weights=[TensorSpec("bias", (4,))])
    gate = pointwise("mul", bias, "m", reads=[TensorSpec("gate", (2, 3, 4))])
    assert agrees([anchor, bias, gate, pointwise("swish", gate, "z")])


@pytest.mark.parametrize("stored", [True, False], ids=["(n, k)", "(k, n)"])
def test_weights_are_read_as_they_are_stored(stored):
    product = linear(transposed_weight=stored, bias=True)
    assert agrees([product])
    right = describe(Chain.of([product]), DataType.BF16, "").feeds[1]
    assert right.strides == ((32, 1, 8) if stored else (32, 4, 1))


def test_batched_products_keep_their_batch():
    left, right = TensorSpec("l", (2, 3, 4, 5)), TensorSpec("r", (2, 3, 5, 6))
    assert agrees([layer(Matmul(4, 6, 5, 6), [left, right], [], TensorSpec("y", (2, 3, 4, 6)))])


def test_a_batch_norm_behind_a_linear_layer_is_folded():
    anchor = linear((6, 8), bias=True)
    assert agrees([anchor, batch_norm(anchor, "n")])


def test_pointwise_chains_are_one_graph_in_any_layout():
    start = layer(
        Elementwise("add", 480), [TensorSpec("x", (2, 8, 6, 5)), TensorSpec("o", (8, 1, 1))], [],
        TensorSpec("y", (2, 8, 6, 5)),
    )  # fmt: skip
    scaled = pointwise("mul", start, "m", weights=[TensorSpec("factor", (5,))])
    assert agrees([start, scaled, pointwise("relu", scaled, "z")]) == 2


def test_a_batch_norm_alone_is_a_scale_and_a_shift():
    source = layer(Elementwise("relu", 480), [TensorSpec("x", (2, 8, 6, 5))], [], TensorSpec("x", (2, 8, 6, 5)))
    norm = batch_norm(source, "n")
    assert agrees([norm, pointwise("relu", norm, "z")]) == 2


def test_a_batch_norm_of_one_long_row_keeps_its_channels_in_order():
    source = layer(Elementwise("relu", 1024), [TensorSpec("x", (1, 1024))], [], TensorSpec("x", (1, 1024)))
    norm = batch_norm(source, "n")
    assert agrees([norm, pointwise("relu", norm, "z")]) == 1


@pytest.mark.parametrize("function", ["layer", "rms"])
@pytest.mark.parametrize("constants", [0, 1])
def test_rows_are_normalised(function, constants):
    weights = [TensorSpec(name, (8,)) for name in ("scale", "shift")[: 2 if function == "layer" else 1]]
    norm = layer(
        Normalization(function, 48, 8), [TensorSpec("x", (2, 3, 8))], weights * constants, TensorSpec("y", (2, 3, 8))
    )
    assert agrees([norm], tolerance=1e-4)


def test_instances_are_normalised():
    weights = [TensorSpec("scale", (8,)), TensorSpec("shift", (8,))]
    shape = (2, 8, 6, 5)
    norm = layer(Normalization("instance", 480, 30), [TensorSpec("x", shape)], weights, TensorSpec("y", shape))
    assert agrees([norm]) == 2


@pytest.mark.parametrize("case", ["plain", "causal", "masked", "grouped", "length first", "packed heads"])
def test_attention_reads_its_operands_where_they_lie(case):
    kv_heads = 2 if case == "grouped" else 4
    query = TensorSpec("q", (2, 4, 5, 8))
    key, value = TensorSpec("k", (2, kv_heads, 5, 8)), TensorSpec("v", (2, kv_heads, 5, 8))
    out = TensorSpec("y", (2, 4, 5, 8))
    if case in ("length first", "packed heads"):
        shape = (2, 5, 4, 8) if case == "length first" else (2, 5, 32)
        query, key, value, out = (replace(t, shape=shape) for t in (query, key, value, out))
    work = Attention(2, 4, 5, 5, 8, 8, kv_heads, causal=case == "causal", masked=case == "masked")
    masks = [TensorSpec("mask", (1, 1, 5, 5))] if case == "masked" else []
    assert agrees([layer(work, [query, key, value, *masks], [], out)], DataType.BF16)


def test_what_has_no_operation_is_refused_with_a_reason():
    pool = layer(Pooling("max", 100, (2, 2), (2, 2)), [TensorSpec("x", (1, 4, 10, 10))], [],
                 TensorSpec("y", (1, 4, 5, 5)))  # fmt: skip
    with pytest.raises(UnsupportedError, match="no max"):
        describe(Chain.of([pool]), DataType.BF16, "nhwc")


def test_every_data_type_is_stored_as_itself_and_summed_in_fp32():
    import cudnn

    types = cudnn.data_type
    stored = {"fp32": types.FLOAT, "tf32": types.FLOAT, "fp16": types.HALF, "bf16": types.BFLOAT16,
              "fp8": types.FP8_E4M3}  # fmt: skip
    for dtype, expected in stored.items():
        graph = describe(Chain.of([convolution()]), DataType(dtype), "nhwc").graph
        assert graph.context.io_data_type == expected
        assert graph.context.compute_data_type == graph.context.intermediate_data_type == types.FLOAT


def test_randomly_chosen_operands_are_never_changed():
    anchor = convolution(bias=True)
    chain = Chain.of([anchor, batch_norm(anchor, "n")])
    given = operands(chain)
    before = {name: t.clone() for name, t in given.sources.items()}
    interpreter.run(describe(chain, DataType.FP32, "nhwc", "pattern"), given)
    assert all(torch.equal(t, before[name]) for name, t in given.sources.items())
