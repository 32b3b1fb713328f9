"""Patterns that exporters write out as many nodes are one layer again, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.onnx.read import build_graph
from headroom.graph.tensor import DataType
from headroom.graph.work import Attention, Elementwise, Matmul, Normalization
from onnx_models import export, model, node


def read(nodes: Any, inputs: Any, outputs: str = "y", **options: Any) -> Graph:
    arrays = {name: np.asarray(value, np.float32) for name, value in options.pop("numbers", {}).items()}
    return build_graph(model(nodes, inputs, outputs, constants=arrays, **options), name="test")


def attention_of(graph: Graph) -> list[Layer]:
    return [layer for layer in graph.layers if layer.kind is LayerKind.ATTENTION]


QKV = {"q": [2, 8, 16, 64], "k": [2, 8, 24, 64], "v": [2, 8, 24, 32]}
NUMBERS = {"scale": 0.125, "root": 8.0, "zero": 0.0}


def written_out(*between: Any, scores: str = "scores", last: str = "scores") -> list[Any]:
    """Attention with something between the score product and the softmax."""
    return [
        node("Transpose", "k", "kt", perm=[0, 1, 3, 2]),
        node("MatMul", "q kt", scores),
        *between,
        node("Softmax", last, "weights", axis=-1),
        node("MatMul", "weights v", "y", name="context"),
    ]


# -- attention --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("between", "last", "masked"),
    [
        ([], "scores", False),
        ([node("Mul", "scores scale", "a")], "a", False),
        ([node("Div", "scores root", "a"), node("Add", "a m", "b")], "b", True),
        ([node("Where", "keep scores zero", "a"), node("Add", "m a", "b"), node("Cast", "b", "c", to=1)], "c", True),
    ],
)
def test_attention_is_one_layer_with_its_parts(between: list[Any], last: str, masked: bool) -> None:
    inputs: dict[str, Any] = {**QKV, "m": [2, 1, 16, 24], "keep": ([16, 24], onnx.TensorProto.BOOL)}
    graph = read(written_out(*between, last=last), inputs, numbers=NUMBERS)
    (layer,) = graph.layers
    assert layer.work == Attention(2, 8, 16, 24, 64, 32, kv_heads=8, masked=masked)
    assert layer.name == "context"
    assert [tensor.name for tensor in layer.inputs][:3] == ["q", "k", "v"]
    assert sum(part.macs for part in layer.parts) == layer.macs == 2 * 8 * 16 * 24 * (64 + 32)
    assert layer.parts[0].operator == "Transpose"


def test_a_fused_attention_never_stores_its_scores() -> None:
    layer = read(written_out(), QKV).layers[0]
    scores = 2 * 8 * 16 * 24 * 4
    assert layer.bytes(DataType.FP32) == 4 * (2 * 8) * (16 * 64 + 24 * 64 + 24 * 32 + 16 * 32)
    assert sum(part.bytes(DataType.FP32) for part in layer.parts) > layer.bytes(DataType.FP32) + 4 * scores


def test_scores_that_someone_else_needs_stay_visible() -> None:
    graph = read(written_out(), QKV, "y weights")
    assert attention_of(graph) == []
    assert [layer.operator for layer in graph.layers] == ["Transpose", "MatMul", "Softmax", "MatMul"]


def test_a_classifiers_softmax_is_no_attention() -> None:
    nodes = [node("MatMul", "x w", "h"), node("Softmax", "h", "s"), node("MatMul", "s u", "y")]
    graph = read(nodes, {"x": [4, 8]}, weights={"w": [8, 10], "u": [10, 3]})
    assert attention_of(graph) == []


def test_a_softmax_over_queries_is_no_attention() -> None:
    nodes = written_out()
    nodes[2] = node("Softmax", "scores", "weights", axis=-2)
    assert attention_of(read(nodes, QKV)) == []


def test_heads_joined_with_the_batch_are_told_apart_by_the_batch() -> None:
    nodes = [
        node("Reshape", "x split", "q"),
        node("Transpose", "q", "qt", perm=[0, 2, 1]),
        node("MatMul", "q qt", "scores"),
        node("Softmax", "scores", "weights"),
        node("MatMul", "weights q", "y"),
    ]
    graph = build_graph(model(nodes, {"x": [2, 8, 16, 64]}, constants={"split": np.array([16, 16, 64])}), name="test")
    (layer,) = attention_of(graph)
    assert (layer.work.batch, layer.work.heads) == (2, 8)  # type: ignore[attr-defined]


def test_bert_has_twelve_attentions_with_a_shared_mask(shared_models: Path) -> None:
    graph = build_graph(onnx.load(shared_models / "bert_base.onnx", load_external_data=False), name="bert")
    found = attention_of(graph)
    assert len(found) == 12
    assert {layer.work for layer in found} == {Attention(1, 12, 128, 128, 64, 64, kv_heads=12, masked=True)}
    assert {part.operator for part in found[0].parts} >= {"MatMul", "Softmax", "IsNaN", "Where", "Add", "Mul"}
    assert not any(layer.operator in ("Softmax", "IsNaN", "Where") for layer in graph.layers)


def test_a_vision_transformer_has_twelve_attentions(shared_models: Path) -> None:
    graph = build_graph(onnx.load(shared_models / "vit_b_16_dynamo.onnx", load_external_data=False), name="vit")
    assert {layer.work for layer in attention_of(graph)} == {Attention(1, 12, 197, 197, 64, 64, kv_heads=12)}
    assert len(attention_of(graph)) == 12


def test_pytorchs_attention_function_is_recognised_after_export() -> None:
    torch = pytest.importorskip("torch")

    class Masked(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, q: Any, k: Any, v: Any) -> Any:
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    operands = (torch.randn(2, 4, 16, 32),) * 3
    graph = build_graph(export(Masked(), *operands), name="sdpa")
    (layer,) = attention_of(graph)
    assert layer.work == Attention(2, 4, 16, 16, 32, 32, kv_heads=4, causal=True)
    assert layer.weights == ()


TRIANGLE = np.tri(16, dtype=bool)
CHOICE = {"keep": TRIANGLE, "hide": ~TRIANGLE, "never": np.float32(-np.inf), "less": np.float32(-1.0)}
SUM = {"m": np.where(TRIANGLE, 0, -np.inf).astype(np.float32)}
PADDED = np.where(TRIANGLE | (np.arange(16) < 2), 0, -1e9).astype(np.float32)


@pytest.mark.parametrize(
    ("mask", "numbers", "causal"),
    [
        (node("Add", "scores m", "a"), SUM, True),
        (node("Add", "scores m", "a"), {"m": SUM["m"][None, None]}, True),
        (node("Add", "scores m", "a"), {"m": np.maximum(SUM["m"], -10_000)}, True),
        (node("Where", "keep scores never", "a"), CHOICE, True),
        (node("Where", "hide never scores", "a"), CHOICE, True),
        (node("Add", "scores m", "a"), {"m": SUM["m"].T}, False),
        (node("Add", "scores m", "a"), {"m": PADDED}, False),
        (node("Add", "scores m", "a"), {"m": np.tri(16, dtype=np.float32)}, False),
        (node("Where", "hide scores never", "a"), CHOICE, False),
        (node("Where", "keep scores less", "a"), CHOICE, False),
    ],
)
def test_a_constant_mask_that_hides_exactly_the_future_makes_attention_causal(
    mask: Any, numbers: dict[str, Any], causal: bool
) -> None:
    same = {"q": [2, 4, 16, 32], "k": [2, 4, 16, 32], "v": [2, 4, 16, 32]}
    nodes = written_out(mask, last="a")
    (layer,) = attention_of(build_graph(model(nodes, same, constants=numbers), name="masked"))
    assert layer.work == Attention(2, 4, 16, 16, 32, 32, kv_heads=4, causal=causal, masked=not causal)


# -- linear layers ----------------------------------------------------------------------------------------


def test_a_product_and_its_bias_are_one_linear_layer() -> None:
    nodes = [node("MatMul", "x w", "h", name="product"), node("Add", "b h", "y", name="bias")]
    (layer,) = read(nodes, {"x": [2, 10, 64]}, weights={"w": [64, 32], "b": [32]}).layers
    assert (layer.name, layer.operator, layer.work) == ("product", "Gemm", Matmul(m=20, n=32, k=64))
    assert [weight.name for weight in layer.weights] == ["w", "b"]
    assert [part.name for part in layer.parts] == ["product", "bias"]
    assert layer.outputs[0].name == "y"


@pytest.mark.parametrize(
    ("addition", "outputs"),
    [(node("Add", "h r"), "y"), (node("Add", "h c"), "y"), (node("Add", "h b"), "y h"), (node("Mul", "h b"), "y")],
)
def test_what_is_no_bias_stays_apart(addition: Any, outputs: str) -> None:
    weights = {"w": [64, 32], "b": [32], "c": [10, 32]}
    inputs = {"x": [2, 10, 64], "r": [2, 10, 32]}
    graph = read([node("MatMul", "x w", "h"), addition], inputs, outputs, weights=weights)
    assert len(graph.layers) == 2


# -- normalisations and activations -----------------------------------------------------------------------


def test_a_layer_normalisation_written_out_is_one_layer() -> None:
    nodes = [
        node("ReduceMean", "x", "mean", axes=[-1]),
        node("Sub", "x mean", "d"),
        node("Pow", "d two", "p"),
        node("ReduceMean", "p", "var", axes=[-1]),
        node("Add", "var eps", "e"),
        node("Sqrt", "e", "root"),
        node("Div", "d root", "n"),
        node("Mul", "n gamma", "g"),
        node("Add", "g beta", "y"),
    ]
    weights = {"gamma": [64], "beta": [64]}
    graph = read(nodes, {"x": [2, 10, 64]}, weights=weights, numbers={"two": 2.0, "eps": 1e-5}, opset=13)
    (layer,) = graph.layers
    assert layer.work == Normalization("layer", 1280, 64, 8)
    assert (layer.operator, len(layer.parts)) == ("LayerNormalization", 9)
    assert {weight.name for weight in layer.weights} >= {"gamma", "beta"}


def test_an_rms_normalisation_written_out_is_one_layer() -> None:
    nodes = [
        node("Pow", "x two", "p"),
        node("ReduceMean", "p", "ms", axes=[-1]),
        node("Add", "ms eps", "e"),
        node("Sqrt", "e", "root"),
        node("Reciprocal", "root", "r"),
        node("Mul", "x r", "n"),
        node("Mul", "n gamma", "y"),
    ]
    graph = read(nodes, {"x": [2, 10, 64]}, weights={"gamma": [64]}, numbers={"two": 2.0, "eps": 1e-5}, opset=13)
    assert [layer.work for layer in graph.layers] == [Normalization("rms", 1280, 64, 5)]


@pytest.mark.parametrize(
    ("nodes", "function"),
    [
        ([node("Sigmoid", "x", "s"), node("Mul", "x s")], "swish"),
        ([node("HardSigmoid", "x", "s"), node("Mul", "x s")], "hardswish"),
        ([node("Softplus", "x", "s"), node("Tanh", "s", "t"), node("Mul", "x t")], "mish"),
        (
            [
                node("Div", "x a", "d"), node("Erf", "d", "e"), node("Add", "e b", "f"),
                node("Mul", "x f", "g"), node("Mul", "g c"),
            ],
            "gelu",
        ),
    ],
)  # fmt: skip
def test_an_activation_written_out_is_one_layer(nodes: list[Any], function: str) -> None:
    (layer,) = read(nodes, {"x": [4, 8]}, numbers={"a": 1.4142, "b": 1.0, "c": 0.5}).layers
    assert isinstance(layer.work, Elementwise)
    assert (layer.work.function, layer.kind) == (function, LayerKind.ACTIVATION)
    assert layer.bytes(DataType.FP32) <= 4 * (2 * 32 + 3)


def test_a_gate_from_another_tensor_is_no_activation() -> None:
    nodes = [node("Sigmoid", "g", "s"), node("Mul", "x s")]
    graph = read(nodes, {"x": [4, 8], "g": [4, 1]})
    assert [layer.operator for layer in graph.layers] == ["Sigmoid", "Mul"]


def test_a_scaled_sigmoid_is_no_swish() -> None:
    graph = read([node("Sigmoid", "x", "s"), node("Mul", "s two")], {"x": [4, 8]}, numbers={"two": 2.0})
    assert [layer.operator for layer in graph.layers] == ["Sigmoid", "Mul"]


def test_an_activation_whose_middle_someone_reads_stays_apart() -> None:
    nodes = [node("Sigmoid", "x", "s"), node("Mul", "x s", "y")]
    graph = read(nodes, {"x": [4, 8]}, "y s")
    assert [layer.operator for layer in graph.layers] == ["Sigmoid", "Mul"]


def test_squeeze_and_excitation_gates_stay_and_swish_is_joined(shared_models: Path) -> None:
    graph = build_graph(
        onnx.load(shared_models / "efficientnet_b0.onnx", load_external_data=False), name="efficientnet"
    )
    operators = [layer.operator for layer in graph.layers]
    assert operators.count("Swish") == 49
    assert operators.count("Sigmoid") == operators.count("Mul") == 16
