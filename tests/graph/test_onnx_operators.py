"""Every operator gives the work that its definition says."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from headroom.errors import ModelError
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.onnx.operators import DESCRIBE, FAMILIES
from headroom.graph.onnx.operators.registry import key_of
from headroom.graph.onnx.read import build_graph
from headroom.graph.tensor import DataType
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
from onnx_models import model, node


def layers(*arguments: Any, **options: Any) -> tuple[Layer, ...]:
    return build_graph(model(*arguments, **options), name="test").layers


def single(nodes: Any, inputs: Any, **options: Any) -> Layer:
    """The only working layer of a model with one node."""
    (layer,) = layers([nodes], inputs, **options)
    return layer


def test_every_standard_operator_of_every_opset_is_classified() -> None:
    standard = {key_of(schema.domain, schema.name) for schema in onnx.defs.get_all_schemas_with_history()}
    assert standard - set(DESCRIBE) == set()


def test_no_operator_belongs_to_two_families() -> None:
    named = [name for family in FAMILIES for name in family.describe]
    assert sorted(named) == sorted(set(named))


def test_a_grouped_dilated_convolution_with_asymmetric_padding() -> None:
    conv = node("Conv", "x w b", group=4, dilations=[2, 1], strides=[1, 2], pads=[1, 0, 3, 2])
    layer = single(conv, {"x": [2, 8, 20, 30]}, weights={"w": [16, 2, 3, 5], "b": [16]})
    work = layer.work
    assert isinstance(work, Convolution)
    assert (work.padding, work.dilation, work.stride, work.groups) == (((1, 3), (0, 2)), (2, 1), (1, 2), 4)
    assert work.out_size == (20, 14) == layer.outputs[0].shape[2:]
    assert layer.macs == 2 * 16 * 20 * 14 * 2 * 3 * 5
    assert layer.gemm == Gemm(m=2 * 20 * 14, n=4, k=30, batch=4)
    assert [tensor.name for tensor in layer.weights] == ["w", "b"]


@pytest.mark.parametrize(
    ("mode", "padding"), [("SAME_UPPER", ((0, 1), (2, 2))), ("SAME_LOWER", ((1, 0), (2, 2))), ("VALID", ((0, 0),) * 2)]
)
def test_automatic_padding_is_worked_out(mode: str, padding: tuple[tuple[int, int], ...]) -> None:
    conv = node("Conv", "x w", auto_pad=mode, strides=[2, 1])
    work = single(conv, {"x": [1, 3, 8, 9]}, weights={"w": [4, 3, 3, 5]}).work
    assert isinstance(work, Convolution)
    assert work.padding == padding


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolutions_over_one_two_and_three_dimensions(rank: int) -> None:
    work = single(node("Conv", "x w"), {"x": [2, 3] + [10] * rank}, weights={"w": [4, 3] + [3] * rank}).work
    assert isinstance(work, Convolution)
    assert work.out_size == (8,) * rank
    assert work.macs == 2 * 4 * 8**rank * 3 * 3**rank


def test_a_transposed_convolution_meets_every_input_element_with_every_tap() -> None:
    layer = single(node("ConvTranspose", "x w", strides=[2, 2]), {"x": [1, 6, 5, 5]}, weights={"w": [6, 8, 4, 4]})
    assert layer.outputs[0].shape == (1, 8, 12, 12)
    assert layer.macs == 25 * 6 * 8 * 16


def test_an_int8_convolution_that_the_operator_does_not_allow_is_read() -> None:
    layer = single(node("Conv", "x w"), {"x": ([1, 3, 8, 8], TensorProto.INT8)}, weights={"w": [4, 3, 3, 3]})
    assert layer.outputs[0].form == ((1, 4, 6, 6), "int8")


@pytest.mark.parametrize(
    ("left", "right", "work"),
    [
        ([8, 128, 64], [64, 32], Matmul(m=8 * 128, n=32, k=64)),
        ([8, 12, 128, 64], [8, 12, 64, 128], Matmul(m=128, n=128, k=64, batch=96)),
        ([8, 1, 128, 64], [1, 12, 64, 32], Matmul(m=128, n=32, k=64, batch=96)),
        ([64], [64, 32], Matmul(m=1, n=32, k=64)),
        ([16, 64], [64], Matmul(m=16, n=1, k=64)),
        ([64], [64], Matmul(m=1, n=1, k=64)),
        ([5, 6], [3, 6, 7], Matmul(m=5, n=7, k=6, batch=3)),
    ],
)
def test_matrix_products_fold_or_batch(left: list[int], right: list[int], work: Matmul) -> None:
    layer = single(node("MatMul", "a b"), {"a": left, "b": right})
    assert layer.work == work
    assert layer.kind is (LayerKind.MATVEC if min(work.m, work.n) == 1 else LayerKind.MATMUL)


def test_gemm_with_a_transposed_weight() -> None:
    layer = single(node("Gemm", "x w b", transB=1), {"x": [4, 64]}, weights={"w": [10, 64], "b": [10]})
    assert layer.work == Matmul(m=4, n=10, k=64)
    assert layer.bytes(DataType.FP16) == 2 * (4 * 64 + 640 + 10 + 40)


def test_a_fused_product_knows_its_transposes() -> None:
    fused = node("FusedMatMul", "a b", domain="com.microsoft", transA=1, transB=1)
    layer = single(fused, {"a": [3, 8, 5], "b": [3, 7, 8]})
    assert layer.work == Matmul(m=5, n=7, k=8, batch=3)
    assert layer.outputs[0].shape == (3, 5, 7)


@pytest.mark.parametrize(
    ("equation", "left", "right", "work"),
    [
        ("bhqd,bhkd->bhqk", [2, 4, 6, 8], [2, 4, 5, 8], Matmul(m=6, n=5, k=8, batch=8)),
        ("...ij,jk->...ik", [2, 3, 4], [4, 5], Matmul(m=6, n=5, k=4)),
        ("ij,jk", [3, 4], [4, 5], Matmul(m=3, n=5, k=4)),
        ("i,j->ij", [3], [4], Matmul(m=3, n=4, k=1)),
        ("bi,bi->b", [3, 4], [3, 4], Matmul(m=1, n=1, k=4, batch=3)),
        ("bij,bj->bij", [2, 3, 4], [2, 4], Elementwise("einsum", 24)),
    ],
)
def test_einsum_is_the_product_it_stands_for(equation: str, left: Any, right: Any, work: Any) -> None:
    layer = single(node("Einsum", "a b", equation=equation), {"a": left, "b": right})
    assert layer.work == work


@pytest.mark.parametrize(
    ("equation", "work"),
    [
        ("ij->ji", Movement("einsum", 12)),
        ("ij->ij", Free("einsum")),
        ("ij->i", Reduction("einsum", 12, 3)),
    ],
)
def test_einsum_of_one_operand(equation: str, work: Any) -> None:
    assert single(node("Einsum", "a", equation=equation), {"a": [3, 4]}).work == work


def test_einsum_of_three_operands_becomes_the_cheapest_pairs() -> None:
    found = layers([node("Einsum", "a b c", equation="ij,jk,kl->il")], {"a": [50, 2], "b": [2, 60], "c": [60, 3]})
    assert [layer.macs for layer in found] == [2 * 60 * 3, 50 * 2 * 3]
    assert found[-1].outputs[0].shape == (50, 3)


def test_an_einsum_that_does_not_fit_names_its_node() -> None:
    with pytest.raises(ModelError, match="einsum_y"):
        layers([node("Einsum", "a b", equation="ij,jk,kl->il")], {"a": [3, 4], "b": [4, 5]})


def test_normalisations_say_what_shares_statistics() -> None:
    x: dict[str, Any] = {"x": [2, 8, 4, 4]}
    vectors = {name: [8] for name in "sbmv"}
    batch = single(node("BatchNormalization", "x s b m v"), x, weights=vectors)
    assert batch.work == Normalization("batch", 256)
    assert len(batch.weights) == 4
    layer = single(node("LayerNormalization", "x s b", axis=-1), {"x": [2, 5, 8]}, weights=vectors)
    assert layer.work == Normalization("layer", 80, 8, 8)
    group = single(node("GroupNormalization", "x s b", num_groups=2), x, weights=vectors)
    assert group.work == Normalization("group", 256, 64, 8)
    instance = single(node("InstanceNormalization", "x s b"), x, weights=vectors)
    assert instance.work == Normalization("instance", 256, 16, 8)
    rms = single(node("RMSNormalization", "x s"), {"x": [2, 5, 8]}, weights={"s": [8]}, opset=23)
    assert rms.work == Normalization("rms", 80, 8, 5)
    skip = single(
        node("SkipLayerNormalization", "x r s b", domain="com.microsoft"),
        {"x": [2, 5, 8], "r": [2, 5, 8]},
        weights=vectors,
    )
    assert skip.work == Normalization("layer", 80, 8, 10)
    assert len(skip.inputs) == 2


@pytest.mark.parametrize(("opset", "work"), [(11, Softmax(2, 60)), (13, Softmax(24, 5))])
def test_softmax_flattened_its_operand_up_to_opset_12(opset: int, work: Softmax) -> None:
    axis = 1 if opset < 13 else -1
    assert single(node("Softmax", "x", axis=axis), {"x": [2, 3, 4, 5]}, opset=opset).work == work


def test_pooling_counts_its_window() -> None:
    window = single(node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2]), {"x": [1, 4, 9, 9]})
    assert window.work == Pooling("max", 64, (3, 3), (2, 2))
    everything = single(node("GlobalAveragePool", "x"), {"x": [1, 4, 9, 9]})
    assert everything.work == Pooling("average", 4, (9, 9), (9, 9))


def test_a_table_lookup_reads_the_rows_it_needs() -> None:
    layer = single(node("Gather", "t i"), {"i": ([4, 16], TensorProto.INT64)}, weights={"t": [30000, 256]})
    assert layer.work == Embedding(rows=64, width=256)
    assert layer.bytes_read(DataType.FP32) == 64 * 256 * 4 + 64 * 8


@pytest.mark.parametrize(
    ("moving", "constants", "free"),
    [
        (node("Transpose", "x", perm=[0, 2, 1, 3]), {}, True),
        (node("Transpose", "x", perm=[0, 3, 1, 2]), {}, False),
        (node("Reshape", "x c"), {"c": [6, -1]}, True),
        (node("Expand", "x c"), {"c": [1, 1, 1, 1]}, True),
        (node("Expand", "x c"), {"c": [2, 3, 5, 8]}, False),
        (node("Slice", "x c d"), {"c": [0], "d": [2]}, True),
        (node("Slice", "x c d"), {"c": [0], "d": [1]}, False),
        (node("Concat", "x", axis=0), {}, True),
        (node("Concat", "x x", axis=0), {}, False),
        (node("Cast", "x", to=TensorProto.FLOAT), {}, True),
        (node("Cast", "x", to=TensorProto.FLOAT16), {}, False),
        (node("Dropout", "x"), {}, True),
        (node("Identity", "x"), {}, True),
    ],
)
def test_what_moves_nothing_is_free(moving: Any, constants: dict[str, list[int]], free: bool) -> None:
    arrays = {name: np.array(value, np.int64) for name, value in constants.items()}
    layer = single(moving, {"x": [2, 3, 1, 8]}, constants=arrays)
    assert layer.kind is (LayerKind.FREE if free else LayerKind.MOVEMENT)
    assert (layer.bytes(DataType.FP32) == 0) == free


def test_a_small_slice_of_a_large_tensor_reads_little() -> None:
    bounds = {"from": np.array([0]), "to": np.array([1]), "axis": np.array([1])}
    layer = single(node("Slice", "x from to axis"), {"x": [1, 1000, 64]}, constants=bounds)
    assert layer.bytes(DataType.FP32) == 2 * 64 * 4
    assert layer.weights == ()


def test_attention_of_opset_23_in_packed_form_with_grouped_heads() -> None:
    attention = node("Attention", "q k v", q_num_heads=8, kv_num_heads=2, is_causal=1)
    layer = single(attention, {"q": [2, 16, 512], "k": [2, 24, 128], "v": [2, 24, 128]}, opset=23)
    assert layer.work == Attention(2, 8, 16, 24, 64, 64, kv_heads=2, causal=True)
    assert layer.macs == 2 * 8 * 16 * 24 * 128


def test_the_runtimes_attention_is_its_projection_and_its_attention() -> None:
    fused = node("Attention", "x w b", domain="com.microsoft", num_heads=4)
    found = layers([fused], {"x": [2, 16, 64]}, weights={"w": [64, 192], "b": [192]})
    kinds = [layer.kind for layer in found]
    assert kinds == [LayerKind.MATMUL, LayerKind.MOVEMENT, LayerKind.ATTENTION]
    assert found[0].work == Matmul(m=32, n=192, k=64)
    assert found[-1].work == Attention(2, 4, 16, 16, 16, 16, kv_heads=4)
    assert found[-1].outputs[0].shape == (2, 16, 64)


def test_grouped_query_attention_reads_its_cache() -> None:
    fused = node(
        "GroupQueryAttention", "q k v pk pv n t", "y kk vv", domain="com.microsoft", num_heads=8, kv_num_heads=2
    )
    inputs: dict[str, Any] = {"q": [1, 1, 512], "k": [1, 1, 128], "v": [1, 1, 128]}
    inputs |= {"pk": [1, 2, 99, 64], "pv": [1, 2, 99, 64]}
    inputs |= {"n": ([1], TensorProto.INT32), "t": ([1], TensorProto.INT32)}
    layer = single(fused, inputs)
    assert layer.work == Attention(1, 8, 1, 100, 64, 64, kv_heads=2, causal=True)
    assert layer.outputs[1].shape == (1, 2, 100, 64)


@pytest.mark.parametrize(("cell", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_a_recurrent_cell(cell: str, gates: int) -> None:
    layer = single(
        node(cell, "x w r", hidden_size=16, direction="bidirectional"),
        {"x": [5, 2, 8]},
        weights={"w": [2, gates * 16, 8], "r": [2, gates * 16, 16]},
    )
    assert layer.work == Recurrent(cell.lower(), 2, 5, 8, 16, directions=2)
    assert layer.macs == 2 * 5 * 2 * gates * 16 * (8 + 16)
    assert layer.outputs[0].shape == (5, 2, 2, 16)


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ("Erf", LayerKind.ELEMENTWISE), ("Pow", LayerKind.ELEMENTWISE), ("Where", LayerKind.ELEMENTWISE),
        ("Tanh", LayerKind.ACTIVATION), ("Gelu", LayerKind.ACTIVATION), ("Neg", LayerKind.ELEMENTWISE),
        ("Reciprocal", LayerKind.ELEMENTWISE), ("HardSwish", LayerKind.ACTIVATION),
        ("Mish", LayerKind.ACTIVATION), ("CumSum", LayerKind.ELEMENTWISE),
    ],
)  # fmt: skip
def test_arithmetic_and_activations(operator: str, kind: LayerKind) -> None:
    operands = {"Pow": "x x", "Where": "m x x", "CumSum": "x c"}.get(operator, "x")
    layer = single(
        node(operator, operands), {"x": [3, 4], "m": ([3, 4], TensorProto.BOOL)}, constants={"c": np.array(0)}
    )
    assert layer.kind is kind
    assert layer.flops >= 12


def test_searches_and_scatters() -> None:
    k = {"k": np.array([8])}
    assert single(node("TopK", "x k", "y i"), {"x": [2, 100]}, constants=k).work == Reduction("topk", 600, 16)
    scatter = single(node("ScatterND", "x i u"), {"x": [10, 4], "i": ([3, 1], TensorProto.INT64), "u": [3, 4]})
    assert scatter.work == Movement("scatternd", 52)
    gather = single(node("GatherND", "x i"), {"x": [10, 4], "i": ([3, 1], TensorProto.INT64)})
    assert gather.work == Movement("gathernd", 12, partial_read=True)
    norm = single(node("ReduceL2", "x"), {"x": [10, 4]})
    assert norm.work == Reduction("reducel2", 40, 1)


def test_an_output_that_depends_on_data_is_as_large_as_it_can_be_and_noted() -> None:
    graph = build_graph(model([node("NonZero", "x")], {"x": [3, 4]}), name="test")
    assert graph.outputs[0].form == ((2, 12), "int64")
    assert graph.notes == ("NonZero nonzero_y: its output depends on data; the largest is assumed",)


def test_quantised_products_and_weights_keep_their_stored_width() -> None:
    nodes = [
        node("DequantizeLinear", "w s z", "wf"),
        node("Conv", "x wf", "y"),
    ]
    constants = {"s": np.float32(0.1), "z": np.int8(0), "w": np.zeros((4, 3, 3, 3), np.int8)}
    (layer,) = layers(nodes, {"x": [1, 3, 8, 8]}, constants=constants)
    assert layer.weights[0].form == ((4, 3, 3, 3), "int8")
    (product,) = layers(
        [node("MatMulInteger", "a b")],
        {"a": ([4, 8], TensorProto.UINT8), "b": ([8, 3], TensorProto.UINT8)},
    )
    assert product.work == Matmul(4, 3, 8)
    assert product.outputs[0].element == "int32"


def test_a_network_of_the_first_opset_is_read_although_the_library_infers_nothing_for_it() -> None:
    nodes = [
        node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
        node("BatchNormalization", "c s s s s", "d", is_test=1, consumed_inputs=[0, 0, 0, 1, 1]),
        node("Relu", "d", "e", consumed_inputs=[0]),
        node("Dropout", "e", "f", is_test=1),
        node("Upsample", "f", "g", width_scale=2.0, height_scale=2.0),
        node("Pad", "g", "h", paddings=[0, 0, 1, 1, 0, 0, 1, 1]),
        node("Concat", "h h", "i"),
        node("Reshape", "i", "j", shape=[0, -1]),
        node("Gemm", "j fc b", "k", broadcast=1, transB=1),
        node("Cast", "k", to="FLOAT16"),
    ]
    weights = {"w": [4, 3, 3, 3], "s": [4], "fc": [5, 8 * 18 * 18], "b": [5]}
    read = layers(nodes, {"x": [1, 3, 8, 8]}, weights=weights, opset=1)
    assert [layer.outputs[0].shape for layer in read[4:]] == [
        (1, 4, 16, 16), (1, 4, 18, 18), (1, 8, 18, 18), (1, 8 * 18 * 18), (1, 5), (1, 5),
    ]  # fmt: skip
    assert sum(layer.macs for layer in read) == 64 * 4 * 27 + 5 * 8 * 18 * 18
    assert read[-1].outputs[0].element == "float16"


@pytest.mark.parametrize("broken", [node("Pad", "x"), node("Cast", "x", to="BANANA"), node("Reshape", "x")])
def test_an_old_operator_that_lacks_what_it_needs_is_named(broken: Any) -> None:
    with pytest.raises(ModelError, match=f"node '{broken.name}' .* cannot be understood"):
        layers([broken], {"x": [1, 3, 8, 8]}, opset=1)


def test_an_unknown_operator_is_named_with_its_reason() -> None:
    strange = node("Mystery", "x", domain="my.domain")
    graph = build_graph(model([strange], {"x": [1, 4]}, declared={"y": [1, 4]}), name="test")
    assert graph.layers[0].work == Unknown("my.domain::Mystery", "no reader knows the operator my.domain::Mystery")
    assert graph.coverage.unknown_layers == ("mystery_y",)


def test_an_unknown_operator_without_a_declared_shape_is_refused() -> None:
    with pytest.raises(ModelError, match=r"'mystery_y' \(Mystery\) uses the operator my.domain::Mystery"):
        layers([node("Mystery", "x", domain="my.domain")], {"x": [1, 4]})


@pytest.mark.parametrize(
    ("fused", "shape", "macs"),
    [
        (node("FusedConv", "x w", domain="com.microsoft", activation="Relu"), (1, 4, 6, 6), 4 * 36 * 27),
        (node("QLinearAveragePool", "x s z s z", domain="com.microsoft", kernel_shape=[2, 2]), (1, 3, 7, 7), 0),
    ],
)
def test_a_fused_operator_has_its_standard_relatives_shapes(fused: Any, shape: tuple[int, ...], macs: int) -> None:
    constants = {"s": np.float32(1), "z": np.uint8(0)}
    layer = single(fused, {"x": [1, 3, 8, 8]}, weights={"w": [4, 3, 3, 3]}, constants=constants)
    assert (layer.outputs[0].shape, layer.macs) == (shape, macs)


def test_embeddings_summed_and_normalised_in_one_operator() -> None:
    fused = node("EmbedLayerNormalization", "i - t p - g b", domain="com.microsoft")
    weights = {"t": [30000, 64], "p": [512, 64], "g": [64], "b": [64]}
    layer = single(fused, {"i": ([2, 16], TensorProto.INT32)}, weights=weights)
    assert layer.work == Embedding(rows=64, width=64)
    assert layer.outputs[0].shape == (2, 16, 64)
