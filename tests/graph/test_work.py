"""What a layer computes follows from its geometry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import (
    Attention,
    Convolution,
    Elementwise,
    Embedding,
    Free,
    Gemm,
    Matmul,
    Movement,
    Normalization,
    Pooling,
    Recurrent,
    Reduction,
    Softmax,
    Unknown,
)


def convolution(**changes: object) -> Convolution:
    fields: dict[str, object] = {
        "batch": 2, "in_channels": 8, "out_channels": 12, "in_size": (9, 9), "out_size": (7, 7),
        "kernel": (3, 3), "stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1),
    }  # fmt: skip
    return Convolution(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_convolution_as_a_product_of_matrices() -> None:
    work = convolution()
    assert work.gemm == Gemm(m=2 * 49, n=12, k=72)
    assert (work.macs, work.flops) == (98 * 12 * 72, 2 * 98 * 12 * 72)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups_divide_the_work(groups: int) -> None:
    assert convolution(groups=groups).macs * groups == convolution().macs
    assert convolution(groups=groups).gemm.batch == groups


def test_depthwise_and_pointwise_are_told_apart() -> None:
    depthwise = convolution(out_channels=8, groups=8)
    assert depthwise.is_depthwise
    assert not depthwise.is_pointwise
    assert convolution(kernel=(1, 1), out_size=(9, 9)).is_pointwise
    assert not convolution().is_depthwise


def test_the_gradients_of_a_convolution_cost_what_it_costs() -> None:
    """The input gradient of a stride-1 convolution reads what the convolution wrote."""
    forward = convolution()
    weight_gradient = convolution(direction="wgrad")
    input_gradient = convolution(in_channels=12, out_channels=8, in_size=(7, 7), out_size=(9, 9), direction="dgrad")
    assert forward.macs == weight_gradient.macs == input_gradient.macs


@given(size=st.integers(4, 12), kernel=st.integers(1, 3), stride=st.integers(1, 5), channels=st.integers(1, 3))
def test_the_share_of_the_input_that_is_read_is_what_a_loop_touches(
    size: int, kernel: int, stride: int, channels: int
) -> None:
    out = (size - kernel) // stride + 1
    work = convolution(
        in_channels=channels, in_size=(size,), out_size=(out,), kernel=(kernel,), stride=(stride,),
        padding=((0, 0),), dilation=(1,),
    )  # fmt: skip
    touched = np.zeros(size, bool)
    for position in range(out):
        touched[position * stride : position * stride + kernel] = True
    if stride > kernel:
        assert work.input_share == pytest.approx(touched.mean())
    else:
        assert work.input_share == 1.0


def test_a_product_with_a_vector_is_its_own_kind() -> None:
    assert Matmul(m=1, n=10, k=64).kind is LayerKind.MATVEC
    assert Matmul(m=4, n=10, k=64).kind is LayerKind.MATMUL


def test_attention_counts_both_products_and_the_softmax_between() -> None:
    work = Attention(2, 8, 16, 24, 64, 32, kv_heads=2)
    assert work.macs == 2 * 8 * 16 * 24 * 96
    assert work.flops == 2 * work.macs + 5 * work.score_elements
    square = Attention(1, 1, 16, 16, 8, 8, 1, causal=True)
    assert square.useful_macs == square.macs // 2


def test_a_recurrent_stack_feeds_each_layer_the_one_before() -> None:
    work = Recurrent("lstm", batch=2, length=5, input_size=8, hidden_size=16, layers=2, directions=2)
    assert work.macs == 5 * 2 * 2 * 4 * 16 * ((8 + 16) + (32 + 16))
    assert work.sequential_steps == 6
    projected = Recurrent("lstm", 1, 1, 8, 16, projection=4)
    assert projected.macs == 4 * 16 * (8 + 4) + 4 * 16


@pytest.mark.parametrize(
    ("work", "kind", "flops"),
    [
        (Normalization("batch", 100), LayerKind.NORMALIZATION, 200),
        (Pooling("max", 10, (3, 3), (2, 2)), LayerKind.POOLING, 90),
        (Softmax(4, 10), LayerKind.SOFTMAX, 200),
        (Elementwise("add", 10), LayerKind.ELEMENTWISE, 10),
        (Elementwise("relu", 10, activation=True), LayerKind.ACTIVATION, 10),
        (Reduction("sum", 100, 1), LayerKind.REDUCTION, 100),
        (Movement("concat", 10), LayerKind.MOVEMENT, 0),
        (Embedding(4, 8), LayerKind.EMBEDDING, 0),
        (Free("reshape"), LayerKind.FREE, 0),
        (Unknown("Mystery", "nobody knows it", 7), LayerKind.UNKNOWN, 0),
    ],
)
def test_work_without_multiply_adds(work: Softmax, kind: LayerKind, flops: int) -> None:
    assert (work.kind, work.macs, work.flops, work.gemm) == (kind, 0, flops, None)


def test_only_free_layers_do_no_work() -> None:
    assert [kind for kind in LayerKind if not kind.does_work] == [LayerKind.FREE]


# -- bytes ------------------------------------------------------------------------------------------------


def _layer(work: object, *inputs: TensorSpec, weights: tuple[TensorSpec, ...] = (), out: TensorSpec) -> Layer:
    return Layer("l", "Op", work, inputs, weights, (out,))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dtype", "width"), [(DataType.FP32, 4), (DataType.TF32, 4), (DataType.BF16, 2), (DataType.FP8, 1)]
)
def test_floats_follow_the_analysis_and_integers_do_not(dtype: DataType, width: int) -> None:
    assert TensorSpec("x", (10,), "float32").bytes(dtype) == 10 * width
    assert TensorSpec("x", (10,), "int64").bytes(dtype) == 80
    assert TensorSpec("x", (10,), "bool").bytes(dtype) == 10


def test_a_strided_pointwise_convolution_skips_input() -> None:
    work = convolution(kernel=(1, 1), stride=(2, 2), in_size=(8, 8), out_size=(4, 4))
    layer = _layer(work, TensorSpec("x", (2, 8, 8, 8)), out=TensorSpec("y", (2, 12, 4, 4)))
    assert layer.bytes_read(DataType.FP32) == 2 * 8 * 16 * 4


def test_a_gather_reads_what_it_writes_and_its_indices() -> None:
    table, index = TensorSpec("t", (1000, 64)), TensorSpec("i", (5,), "int64")
    layer = _layer(Embedding(5, 64), index, weights=(table,), out=TensorSpec("y", (5, 64)))
    assert layer.bytes_read(DataType.FP32) == 5 * 64 * 4 + 40


def test_a_view_moves_nothing() -> None:
    layer = _layer(Free("reshape"), TensorSpec("x", (4, 8)), out=TensorSpec("y", (32,)))
    assert layer.bytes(DataType.FP32) == 0


def test_a_layers_configuration_does_not_hold_names() -> None:
    one = _layer(Elementwise("add", 8), TensorSpec("a", (8,)), out=TensorSpec("b", (8,)))
    two = _layer(Elementwise("add", 8), TensorSpec("c", (8,)), out=TensorSpec("d", (8,)))
    other = _layer(Elementwise("add", 8), TensorSpec("c", (8,), "float16"), out=TensorSpec("d", (8,)))
    assert one.configuration == two.configuration != other.configuration
