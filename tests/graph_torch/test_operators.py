"""One claim per family of operators: the work that a call means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from graph_torch.modules import graph_of, only_layer
from headroom.graph.kinds import LayerKind
from headroom.graph.tensor import DataType
from headroom.graph.torch.call import Call, Operand
from headroom.graph.torch.operators.einsum import parsed
from headroom.graph.torch.registry import _BUILDERS, operators, work_of
from headroom.graph.work import (
    Attention,
    Convolution,
    Elementwise,
    Embedding,
    Free,
    Matmul,
    Movement,
    Normalization,
    Pooling,
    Recurrent,
    Reduction,
    Softmax,
    Unknown,
    Work,
)

IMAGE = torch.zeros(2, 4, 8, 8)
ROWS = torch.zeros(2, 5, 4)


def work_of_call(function: Callable[..., Any], *inputs: Tensor, **parts: nn.Module) -> Work:
    return only_layer(graph_of(function, *inputs, **parts)).work


def through(part: nn.Module, *inputs: Tensor) -> Work:
    return work_of_call(lambda module, *given: module.part(*given), *inputs, part=part)


@pytest.mark.parametrize(
    ("part", "inputs", "expected"),
    [
        (nn.Conv1d(4, 6, 3, 2, 1), torch.zeros(2, 4, 9), Convolution(2, 4, 6, (9,), (5,), (3,), (2,), ((1, 1),), (1,))),
        (
            nn.Conv2d(4, 8, (1, 3), padding=(0, 1), groups=4),
            IMAGE,
            Convolution(2, 4, 8, (8, 8), (8, 8), (1, 3), (1, 1), ((0, 0), (1, 1)), (1, 1), 4),
        ),
        (
            nn.Conv2d(4, 8, 4, padding="same", dilation=(1, 2)),
            IMAGE,
            Convolution(2, 4, 8, (8, 8), (8, 8), (4, 4), (1, 1), ((1, 2), (3, 3)), (1, 2)),
        ),
        (
            nn.Conv2d(4, 8, 3, padding="valid"),
            IMAGE[0],
            Convolution(1, 4, 8, (8, 8), (6, 6), (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1)),
        ),
        (
            nn.Conv3d(2, 6, 3, (1, 2, 2), 1),
            torch.zeros(1, 2, 4, 8, 8),
            Convolution(1, 2, 6, (4, 8, 8), (4, 4, 4), (3, 3, 3), (1, 2, 2), ((1, 1),) * 3, (1, 1, 1)),
        ),
        (
            nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1, groups=2),
            IMAGE,
            Convolution(2, 4, 6, (8, 8), (16, 16), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 2, "dgrad"),
        ),
        (
            nn.ConvTranspose1d(4, 6, 2, 2),
            torch.zeros(2, 4, 9),
            Convolution(2, 4, 6, (9,), (18,), (2,), (2,), ((0, 0),), (1,), 1, "dgrad"),
        ),
    ],
)
def test_convolutions_of_every_rank(part: nn.Module, inputs: Tensor, expected: Convolution) -> None:
    assert through(part, inputs) == expected


@settings(max_examples=25, deadline=None)
@given(
    groups=st.sampled_from([1, 2, 4]),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    dilation=st.integers(1, 2),
    transposed=st.booleans(),
)
def test_any_convolution_counts_like_pytorch(
    groups: int,
    channels: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: int,
    transposed: bool,
) -> None:
    layer = nn.ConvTranspose2d if transposed else nn.Conv2d
    part = layer(groups * channels[0], groups * channels[1], kernel, stride, groups=groups, dilation=dilation)
    image = torch.zeros(2, groups * channels[0], 7, 9)
    with FlopCounterMode(display=False) as counter:
        part(image)
    assert through(part, image).macs == counter.get_total_flops() // 2


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (functional.linear, [(2, 5, 4), (3, 4)], Matmul(10, 3, 4)),
        (functional.linear, [(2, 5, 4), (4,)], Matmul(10, 1, 4)),
        (torch.matmul, [(2, 5, 4), (4, 3)], Matmul(10, 3, 4)),
        (torch.matmul, [(2, 5, 4), (1, 4, 3)], Matmul(10, 3, 4)),
        (torch.matmul, [(6, 1, 5, 4), (2, 4, 3)], Matmul(5, 3, 4, 12)),
        (torch.matmul, [(5, 4), (2, 4, 3)], Matmul(5, 3, 4, 2)),
        (torch.matmul, [(4,), (4, 3)], Matmul(1, 3, 4)),
        (torch.matmul, [(5, 4), (4,)], Matmul(5, 1, 4)),
        (torch.matmul, [(4,), (4,)], Matmul(1, 1, 4)),
        (torch.bmm, [(2, 5, 4), (2, 4, 3)], Matmul(5, 3, 4, 2)),
        (torch.addmm, [(3,), (5, 4), (4, 3)], Matmul(5, 3, 4)),
        (torch.addbmm, [(5, 3), (2, 5, 4), (2, 4, 3)], Matmul(5, 3, 8)),
        (torch.addmv, [(5,), (5, 4), (4,)], Matmul(5, 1, 4)),
        (torch.inner, [(5, 4), (3, 4)], Matmul(5, 3, 4)),
        (functional.bilinear, [(2, 4), (2, 3), (5, 4, 3)], Matmul(2, 15, 4)),
        (lambda a, b: torch.tensordot(a, b, 2), [(5, 4, 3), (4, 3, 6)], Matmul(5, 6, 12)),
        (torch.outer, [(5,), (4,)], Elementwise("mul", 20)),
    ],
)
def test_products(function: Callable[..., Tensor], shapes: list[tuple[int, ...]], expected: Work) -> None:
    assert work_of_call(function, *map(torch.zeros, shapes)) == expected


def test_a_grid_of_sampling_points_and_an_integer_product_are_known() -> None:
    grid = graph_of(
        lambda t: torch.nn.functional.affine_grid(t, [1, 3, 4, 5], align_corners=False), torch.zeros(1, 2, 3)
    )
    assert only_layer(grid).work == Elementwise("affinegrid", 40, 6)
    operand = torch.zeros(32, 16, dtype=torch.int8)
    product = graph_of(lambda a, b: torch._int_mm(a, b), operand, operand.reshape(16, 32))
    assert only_layer(product).work == Matmul(32, 32, 16)


def test_a_product_with_a_mask_is_a_product_and_an_addition() -> None:
    product, addition = graph_of(torch.baddbmm, *map(torch.zeros, [(5, 3), (2, 5, 4), (2, 4, 3)])).layers
    assert product.work == Matmul(5, 3, 4, 2)
    assert addition.work == Elementwise("add", 30)
    assert product.outputs[0] in addition.inputs


@pytest.mark.parametrize(
    ("equation", "shapes", "expected"),
    [
        ("bnc,bmc->bnm", [(2, 5, 4), (2, 3, 4)], Matmul(5, 3, 4, 2)),
        ("...c,cd->...d", [(2, 5, 4), (4, 3)], Matmul(10, 3, 4)),
        ("bhqd,bhkd->qk", [(2, 3, 5, 4), (2, 3, 6, 4)], Matmul(5, 6, 24)),
        ("bnc,cd", [(2, 5, 4), (4, 3)], Matmul(10, 3, 4)),
        ("ij,kj->i", [(5, 4), (3, 4)], Matmul(5, 1, 4)),
        ("i,j->ij", [(5,), (4,)], Elementwise("mul", 20)),
        ("bnc->bcn", [(2, 5, 4)], Movement("einsum", 40)),
        ("bnc->b", [(2, 5, 4)], Reduction("sum", 40, 2)),
    ],
)
def test_einsum(equation: str, shapes: list[tuple[int, ...]], expected: Work) -> None:
    assert work_of_call(lambda *t: torch.einsum(equation, *t), *map(torch.zeros, shapes)) == expected


def test_einsum_of_three_operands_is_unknown_with_its_shape() -> None:
    layer = only_layer(graph_of(lambda a, b, c: torch.einsum("ij,jk,kl->il", a, b, c), *[torch.zeros(4, 4)] * 3))
    assert layer.work.reason == "an einsum of 3 operands, which writes 4x4 float32"


def test_an_ellipsis_counts_from_the_right() -> None:
    labels, result = parsed("...ab,...b", [4, 2])
    assert labels == [["...01", "...00", "a", "b"], ["...00", "b"]]
    assert result == ["...01", "...00", "a"]


@pytest.mark.parametrize(
    ("part", "inputs", "expected"),
    [
        (nn.LSTM(4, 6, 2, bidirectional=True), ROWS, Recurrent("lstm", 5, 2, 4, 6, 2, 2)),
        (nn.LSTM(4, 6, proj_size=3, batch_first=True), ROWS, Recurrent("lstm", 2, 5, 4, 6, projection=3)),
        (nn.GRU(4, 6, bias=False), ROWS, Recurrent("gru", 5, 2, 4, 6)),
        (nn.RNN(4, 6, nonlinearity="relu"), ROWS, Recurrent("rnn", 5, 2, 4, 6)),
        (nn.GRU(4, 6), ROWS[0], Recurrent("gru", 1, 5, 4, 6)),
        (nn.LSTMCell(4, 6), ROWS[0], Recurrent("lstm", 5, 1, 4, 6)),
        (nn.GRUCell(4, 6), ROWS[0], Recurrent("gru", 5, 1, 4, 6)),
        (nn.RNNCell(4, 6), ROWS[0], Recurrent("rnn", 5, 1, 4, 6)),
    ],
)
def test_recurrent_layers(part: nn.Module, inputs: Tensor, expected: Recurrent) -> None:
    graph = graph_of(lambda module, x: module.part(x), inputs, part=part)
    (layer,) = [layer for layer in graph.layers if layer.kind is LayerKind.RECURRENT]
    assert layer.work == expected
    assert layer.name == "part"


@pytest.mark.parametrize(
    ("part", "inputs", "expected"),
    [
        (nn.BatchNorm2d(4), IMAGE, Normalization("batch", 512)),
        (nn.BatchNorm2d(4, track_running_stats=False), IMAGE, Normalization("batch", 512, 128, 8)),
        (nn.LayerNorm((8, 8)), IMAGE, Normalization("layer", 512, 64, 8)),
        (nn.GroupNorm(2, 4), IMAGE, Normalization("group", 512, 128, 8)),
        (nn.InstanceNorm2d(4), IMAGE, Normalization("instance", 512, 64, 8)),
        (nn.RMSNorm(8), IMAGE, Normalization("rms", 512, 8, 5)),
        (nn.MaxPool2d(3, 2, 1), IMAGE, Pooling("max", 128, (3, 3), (2, 2))),
        (nn.AvgPool1d(4), ROWS, Pooling("average", 10, (4,), (4,))),
        (nn.AvgPool3d(2), torch.zeros(1, 2, 4, 4, 4), Pooling("average", 16, (2, 2, 2), (2, 2, 2))),
        (nn.AdaptiveAvgPool2d(1), IMAGE, Pooling("average", 8, (8, 8), (8, 8))),
        (nn.AdaptiveAvgPool2d((3, 8)), IMAGE, Pooling("average", 192, (3, 1), (2, 1))),
        (nn.AdaptiveMaxPool2d(2), IMAGE, Pooling("max", 32, (4, 4), (4, 4))),
        (nn.Softmax(dim=1), IMAGE, Softmax(128, 4)),
        (nn.LogSoftmax(dim=-1), ROWS, Softmax(10, 4)),
        (nn.ReLU6(), ROWS, Elementwise("clip", 40, 2, activation=True)),
        (nn.GELU(), ROWS, Elementwise("gelu", 40, 14, activation=True)),
        (nn.PReLU(4), IMAGE, Elementwise("prelu", 512, 2, activation=True)),
        (nn.GLU(), ROWS, Elementwise("glu", 20, 11, activation=True)),
        (nn.Upsample(scale_factor=2), IMAGE, Movement("resize", 2048)),
        (nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE, Movement("resize", 2048, flops_per_element=8)),
        (nn.PixelShuffle(2), IMAGE, Movement("pixel_shuffle", 512)),
        (nn.ZeroPad2d(1), IMAGE, Movement("pad", 800)),
        (nn.Embedding(9, 6), torch.zeros(2, 3, dtype=torch.long), Embedding(6, 6)),
    ],
)
def test_layers_of_torch_nn(part: nn.Module, inputs: Tensor, expected: Work) -> None:
    assert through(part, inputs) == expected


def test_pooling_with_indices_writes_both() -> None:
    layer = only_layer(graph_of(lambda x: functional.max_pool2d(x, 2, return_indices=True), IMAGE))
    assert layer.work == Pooling("max", 128, (2, 2), (2, 2))
    assert [(t.shape, t.element) for t in layer.outputs] == [((2, 4, 4, 4), "float32"), ((2, 4, 4, 4), "int64")]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x.sum(), Reduction("reducesum", 512, 1)),
        (lambda x: x.mean((2, 3)), Reduction("reducemean", 512, 8)),
        (lambda x: x.amax(1), Reduction("reducemax", 512, 128)),
        (lambda x: x.argmax(-1), Reduction("argmax", 512, 64)),
        (lambda x: x.max(1)[0], Reduction("reducemax", 512, 128)),
        (lambda x: torch.max(x, x), Elementwise("max", 512)),
        (lambda x: torch.cat([x, x], 1), Movement("cat", 1024)),
        (lambda x: torch.stack([x, x]), Movement("stack", 1024)),
        (lambda x: x.roll(1, 2), Movement("roll", 512)),
        (lambda x: x.flip(1), Movement("flip", 512)),
        (lambda x: x.repeat(1, 2, 1, 1), Movement("repeat", 1024)),
        (lambda x: x.half(), Movement("cast", 512)),
        (lambda x: x.clone(), Movement("clone", 512)),
        (lambda x: functional.dropout(x, 0.5, training=True), Elementwise("dropout", 512, 2)),
        (
            lambda x: functional.scaled_dot_product_attention(x, x, x, is_causal=True),
            Attention(2, 4, 8, 8, 8, 8, 4, causal=True),
        ),
        (lambda x: torch.zeros(3), Movement("zeros", 3)),
    ],
)
def test_functions(function: Callable[[Tensor], Tensor], expected: Work) -> None:
    assert work_of_call(function, IMAGE) == expected


def test_grouped_queries_keep_their_fewer_key_heads() -> None:
    query, key = torch.zeros(2, 8, 5, 16), torch.zeros(2, 2, 7, 16)
    work = work_of_call(lambda q, k: functional.scaled_dot_product_attention(q, k, k, enable_gqa=True), query, key)
    assert work == Attention(2, 8, 5, 7, 16, 16, kv_heads=2)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.view(2, -1),
        lambda x: x.reshape(2, -1),
        lambda x: x.flatten(1),
        lambda x: x.transpose(1, 2),
        lambda x: x.permute(3, 2, 1, 0),
        lambda x: x[:, 1:, ::2],
        lambda x: x[0],
        lambda x: x.split(2, 1),
        lambda x: x.chunk(2),
        lambda x: x.unbind(1),
        lambda x: x.unsqueeze(0),
        lambda x: x.contiguous(),
        lambda x: x.float(),
        lambda x: x.detach(),
        lambda x: x.expand(3, -1, -1, -1, -1),
        lambda x: functional.dropout(x, training=False),
        lambda x: nn.Identity()(x),
    ],
)
def test_views_are_free(function: Callable[[Tensor], Any]) -> None:
    assert graph_of(function, IMAGE).working_layers == ()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.transpose(1, 2).contiguous(),
        lambda x: x.permute(0, 2, 3, 1).reshape(2, -1),
        lambda x: x.permute(0, 2, 3, 1).flatten(),
        lambda x: x.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format),
        lambda x: x.expand(2, 4, 8, 8)[:, :, ::2].contiguous().repeat(1, 1, 2, 1),
    ],
)
def test_the_copy_behind_a_view_is_charged_where_it_happens(function: Callable[[Tensor], Tensor]) -> None:
    layers = graph_of(function, IMAGE).working_layers
    assert {layer.kind for layer in layers} == {LayerKind.MOVEMENT}
    assert layers[-1].work.elements == 512


def test_the_parts_of_a_split_lead_back_to_it() -> None:
    graph = graph_of(lambda x: torch.mul(*x.chunk(2, 1)), IMAGE)
    chunk, product = graph.layers
    assert isinstance(chunk.work, Free)
    assert product.inputs == chunk.outputs
    assert graph.predecessors[1] == (0,)


def test_a_repeated_tensor_is_read_once() -> None:
    layer = only_layer(graph_of(lambda x, y: x + y.expand(2, 4, 8, 8), IMAGE, torch.zeros(8)))
    assert layer.bytes_read(DataType.FP32) == 4 * (512 + 8)


def test_an_operand_used_twice_is_read_once() -> None:
    assert only_layer(graph_of(lambda x: x * x, IMAGE)).bytes_read(DataType.FP32) == 4 * 512


def test_a_gather_is_charged_for_what_it_takes() -> None:
    table, index = torch.zeros(1000, 4), torch.zeros(3, dtype=torch.long)
    layer = only_layer(graph_of(lambda t, i: t.index_select(0, i), table, index))
    assert layer.bytes_read(DataType.FP32) == 4 * 12 + 8 * 3


def test_in_place_operators_are_their_plain_forms() -> None:
    graph = graph_of(lambda x: (x * 1).relu_().add_(2), IMAGE)
    assert [layer.operator for layer in graph.layers] == ["aten.mul", "aten.relu", "aten.add"]
    assert [graph.predecessors[i] for i in range(3)] == [(), (0,), (1,)]


def test_arguments_that_no_family_expects_make_an_unknown_layer() -> None:
    """A later PyTorch may rename an argument; the model is still read, and the layer counts as unknown."""
    work = work_of(Call("conv2d", "default", {"x": Operand((1, 3, 8, 8))}, (Operand((1, 4, 8, 8)),)))
    assert work == Unknown("conv2d", "unexpected arguments (KeyError: 'weight'); it writes 1x4x8x8 float32")


def test_two_functions_cannot_claim_one_operator() -> None:
    with pytest.raises(ValueError, match="two functions claim the operator conv2d"):
        operators("conv2d")(lambda call: Free("conv2d"))


def test_every_operator_in_the_table_exists_in_pytorch() -> None:
    def exists(name: str) -> bool:
        return any(hasattr(torch.ops.aten, candidate) for candidate in (name, f"{name}_"))

    assert [name for name in _BUILDERS if not exists(name)] == []


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x.permute(0, 2, 3, 1).contiguous(), Movement("contiguous", 512, axes=(0, 3, 1, 2))),
        (lambda x: x.transpose(1, 2).reshape(2, 64, 4, 1), Movement("reshape", 512, axes=(0, 2, 1, 3))),
        (lambda x: x.transpose(1, 2).half(), Movement("cast", 512)),
    ],
)  # fmt: skip
def test_a_copy_of_a_transposed_view_knows_the_order_that_it_reads_in(
    function: Callable[[Tensor], Tensor], expected: Work
) -> None:
    assert graph_of(function, IMAGE).working_layers[-1].work == expected
