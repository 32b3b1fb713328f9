"""Functions, branches, loops, symbols, folded shapes and names of ONNX models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from headroom.errors import ModelError
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.onnx.read import build_graph
from headroom.graph.work import Matmul, Unknown
from onnx_models import export, model, node


def read(*arguments: Any, batch: int | None = None, dims: Any = None, **options: Any) -> Graph:
    return build_graph(model(*arguments, **options), name="test", batch=batch, dims=dims or {})


def body(name: str, nodes: list[Any], inputs: dict[str, int], outputs: str) -> Any:
    """A subgraph whose inputs have element types and no shapes."""
    return helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(n, element, None) for n, element in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs.split()],
    )


def macs_by_name(graph: Graph) -> dict[str, int]:
    return {layer.name: layer.macs for layer in graph.layers if layer.macs}


# -- shapes that are computed, and weights that are -----------------------------------------------------


def test_a_shape_computed_from_a_shape_is_folded() -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Mul", "n two", "m"),
        node("Unsqueeze", "m axes", "head"),
        node("Concat", "head rest", "target", axis=0),
        node("Reshape", "x target", "y"),
    ]
    constants = {
        "zero": np.array(0), "two": np.array(2), "axes": np.array([0]), "rest": np.array([-1])
    }  # fmt: skip
    graph = read(nodes, {"x": [6, 8]}, constants=constants)
    assert [layer.operator for layer in graph.layers] == ["Reshape"]
    assert graph.outputs[0].shape == (12, 4)


def test_weights_made_by_nodes_are_weights() -> None:
    nodes = [
        node("ConstantOfShape", "s", "w"),
        node("Transpose", "w", "wt", perm=[1, 0]),
        node("Identity", "wt", "wi"),
        node("MatMul", "x wi", "y"),
    ]
    (layer,) = read(nodes, {"x": [4, 16]}, constants={"s": np.array([32, 16])}).layers
    assert layer.work == Matmul(4, 32, 16)
    assert [(weight.name, weight.shape) for weight in layer.weights] == [("w", (16, 32))]


def test_a_weight_used_in_two_layouts_counts_once() -> None:
    nodes = [node("Transpose", "w", "wt", perm=[1, 0]), node("MatMul", "x w", "h"), node("MatMul", "h wt", "y")]
    graph = read(nodes, {"x": [4, 16]}, weights={"w": [16, 32]})
    from headroom.graph.tensor import DataType

    assert graph.weight_bytes(DataType.FP32) == 16 * 32 * 4


def test_masks_that_every_layer_computes_anew_crowd_out_no_shape() -> None:
    """The mask of 350 positions in each of 24 layers, and a shape computed after them."""
    constants = {"sizes": np.array([350, 350]), "rows": np.array([64])}
    nodes = [
        made
        for i in range(24)
        for made in (
            node("ConstantOfShape", "sizes", f"ones{i}"),
            node("Trilu", f"ones{i}", f"mask{i}", upper=0),
            node("Cast", f"mask{i}", f"bool{i}", to=TensorProto.BOOL),
        )
    ]
    shape = [node("Add", "rows rows", "twice"), node("Concat", "twice rows", "shape", axis=0)]
    graph = read([*nodes, *shape, node("Reshape", "x shape")], {"x": [64, 128]}, constants=constants)
    assert graph.outputs[0].shape == (128, 64)


def test_huge_constant_results_are_not_computed() -> None:
    side = np.arange(100_000)
    nodes = [node("Unsqueeze", "c one", "u"), node("Add", "u c", "m"), node("ReduceMax", "m", "r"),
             node("Cast", "r", "f", to=1), node("Add", "x f", "y")]  # fmt: skip
    graph = read(nodes, {"x": [4]}, constants={"c": side, "one": np.array([1])})
    assert graph.outputs[0].shape[-1] == 4


# -- functions --------------------------------------------------------------------------------------------


def _block() -> Any:
    nodes = [
        node("MatMul", "a w", "h", name="product"),
        node("LeakyRelu", "h", "r", name="activation"),
        node("Add", "r a", "b", name="sum"),
    ]
    del nodes[1].attribute[:]
    reference = nodes[1].attribute.add()
    reference.name, reference.ref_attr_name, reference.type = "alpha", "slope", 1
    return helper.make_function("local", "Block", ["a", "w"], ["b"], nodes, [helper.make_opsetid("", 21)], ["slope"])


def test_local_functions_stand_where_they_are_called() -> None:
    calls = [
        node("Block", "x w", "h", domain="local", name="first", slope=0.1),
        node("Block", "h w", "y", domain="local", name="second", slope=0.2),
    ]
    graph = read(calls, {"x": [4, 8]}, weights={"w": [8, 8]}, functions=[_block()])
    assert [layer.operator for layer in graph.layers] == ["MatMul", "LeakyRelu", "Add"] * 2
    assert len({layer.name for layer in graph.layers}) == 6
    assert graph.predecessors[3] == (2,)
    assert graph.outputs[0].name == "y"


def test_a_function_that_calls_itself_is_refused() -> None:
    own = helper.make_function(
        "local", "Again", ["a"], ["b"], [node("Again", "a", "b", domain="local")],
        [helper.make_opsetid("local", 1)],
    )  # fmt: skip
    with pytest.raises(ModelError, match="expands into too much"):
        read([node("Again", "x", domain="local")], {"x": [4]}, functions=[own])


def test_functions_that_double_at_every_level_are_refused_soon() -> None:
    functions = [
        helper.make_function(
            "local", f"F{i}", ["a"], ["b"],
            [node(f"F{i + 1}", "a", "h", domain="local"), node(f"F{i + 1}", "h", "b", domain="local")],
            [helper.make_opsetid("local", 1)],
        )
        for i in range(25)
    ]  # fmt: skip
    functions.append(
        helper.make_function("local", "F25", ["a"], ["b"], [node("Relu", "a", "b")], [helper.make_opsetid("", 21)])
    )
    with pytest.raises(ModelError, match="expands into too much"):
        read([node("F0", "x", domain="local")], {"x": [4]}, functions=functions)


# -- branches and loops -----------------------------------------------------------------------------------


def _branches() -> dict[str, Any]:
    return {
        "then_branch": body("t", [node("MatMul", "x w", "big")], {}, "big"),
        "else_branch": body("e", [node("Relu", "x", "small")], {}, "small"),
    }


@pytest.mark.parametrize(("condition", "operator"), [(True, "MatMul"), (False, "Relu")])
def test_a_branch_with_a_constant_condition_is_taken(condition: bool, operator: str) -> None:
    graph = read(
        [node("If", "c", **_branches())], {"x": [4, 8]}, weights={"w": [8, 8]}, constants={"c": np.array(condition)}
    )
    assert graph.layers[0].operator == operator
    assert graph.layers[-1].outputs[0].name == "y"
    assert graph.coverage.known_share == 1.0


def test_a_branch_that_depends_on_data_is_unknown_and_weighs_its_costlier_side() -> None:
    graph = read(
        [node("If", "c", **_branches())],
        {"x": [4, 8], "c": ([], TensorProto.BOOL)},
        weights={"w": [8, 8]},
    )
    (layer,) = graph.layers
    assert layer.work == Unknown("If", "which branch it takes is only known at run time", 4 * 8 * 8)
    assert {tensor.name for tensor in layer.inputs} == {"x", "c"}
    assert graph.outputs[0].shape == (4, 8)
    assert graph.coverage.known_macs_share == 0.0


def _loop_body() -> Any:
    nodes = [
        node("Identity", "go", "go_on"),
        node("MatMul", "state w", "next", name="step"),
        node("ReduceSum", "next", "seen", keepdims=0, name="sum"),
    ]
    return helper.make_graph(
        nodes,
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("go_on", "next", "seen")],
    )


def test_a_loop_of_known_length_is_unrolled() -> None:
    graph = read(
        [node("Loop", "n - x", "y trace", body=_loop_body())],
        {"x": [4, 8]},
        "y trace",
        weights={"w": [8, 8]},
        constants={"n": np.array(3)},
    )
    assert sum(layer.operator == "MatMul" for layer in graph.layers) == 3
    assert graph.macs == 3 * 4 * 8 * 8
    assert [tensor.shape for tensor in graph.outputs] == [(4, 8), (3,)]


def test_a_loop_of_unknown_length_is_unknown_and_weighs_one_turn() -> None:
    graph = read(
        [node("Loop", "n - x", "y trace", body=_loop_body())],
        {"x": [4, 8], "n": ([], TensorProto.INT64)},
        "y trace",
        weights={"w": [8, 8]},
    )
    (layer,) = graph.layers
    assert layer.work == Unknown("Loop", "how often its body runs is only known at run time", 4 * 8 * 8)
    assert [weight.name for weight in layer.weights] == ["w"]
    assert [tensor.shape for tensor in graph.outputs] == [(4, 8), (1,)]


def _scan(length: int) -> Graph:
    step = helper.make_graph(
        [node("MatMul", "state w", "h"), node("Add", "h piece", "next"), node("Identity", "next", "out")],
        "step",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("state", "piece")],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("next", "out")],
    )
    return read(
        [node("Scan", "s x", "last y", num_scan_inputs=1, body=step)],
        {"s": [2, 8], "x": [length, 2, 8]},
        "last y",
        weights={"w": [8, 8]},
    )


def test_a_scan_runs_its_body_once_per_slice() -> None:
    graph = _scan(5)
    assert graph.macs == 5 * 2 * 8 * 8
    assert [tensor.shape for tensor in graph.outputs] == [(2, 8), (5, 2, 8)]
    assert graph.coverage.known_share == 1.0


def test_a_long_scan_is_one_unknown_layer_that_weighs_all_its_turns() -> None:
    graph = _scan(100_000)
    (layer,) = graph.layers
    assert isinstance(layer.work, Unknown)
    assert layer.work.estimated_macs == 100_000 * 2 * 8 * 8
    assert [tensor.shape for tensor in graph.outputs] == [(2, 8), (100_000, 2, 8)]


# -- symbols ----------------------------------------------------------------------------------------------


def _symbolic() -> dict[str, Any]:
    return {"x": ["batch", "length", 16]}


def test_a_symbol_takes_its_size_from_dims_and_the_batch_is_1() -> None:
    graph = read([node("MatMul", "x w")], _symbolic(), weights={"w": [16, 4]}, dims={"length": 7})
    assert (graph.batch, graph.outputs[0].shape) == (1, (1, 7, 4))


def test_the_batch_symbol_follows_batch() -> None:
    graph = read([node("MatMul", "x w")], _symbolic(), weights={"w": [16, 4]}, dims={"length": 7}, batch=5)
    assert (graph.batch, graph.macs) == (5, 5 * 7 * 16 * 4)


@pytest.mark.parametrize(
    ("dims", "batch", "sentence"),
    [
        ({}, None, r"dimension 1 of input 'x' is the symbol 'length'; give it a size with --dim length=N"),
        ({"height": 3}, None, r"no dimension named 'height' to set; it has: batch, length"),
        ({"length": 0}, None, r"--dim length=0 is below 1"),
        ({"length": 7, "batch": 2}, 3, r"--batch 3 and --dim batch=2 set the same dimension"),
        ({"length": 7}, 0, r"a batch of 0 was asked for; it must be at least 1"),
    ],
)
def test_sizes_that_cannot_be_are_refused(dims: dict[str, int], batch: int | None, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        read([node("MatMul", "x w")], _symbolic(), weights={"w": [16, 4]}, dims=dims, batch=batch)


@pytest.mark.parametrize(
    ("inputs", "batch", "shapes"),
    [
        ({"x": ["N", 4], "mask": ["N", 4]}, 3, [(3, 4), (3, 4)]),
        ({"x": [None, 4], "mask": [None, 4]}, 3, [(3, 4), (3, 4)]),
        ({"x": [1, 4], "scale": [1]}, 3, [(3, 4), (1,)]),
        ({"x": ["length", "batch_size", 4], "mask": ["batch_size", "length"]}, 3, [(7, 3, 4), (3, 7)]),
        ({"x": [2, 4], "table": [9, 4], "y0": [2, 5]}, 6, [(6, 4), (9, 4), (6, 5)]),
    ],
)
def test_the_batch_is_found_among_the_inputs(inputs: Any, batch: int, shapes: list[tuple[int, ...]]) -> None:
    dims = {"length": 7} if "length" in inputs["x"] else {}
    graph = read([node("Relu", "x")], inputs, batch=batch, dims=dims)
    assert [tensor.shape for tensor in graph.inputs] == shapes
    assert graph.batch == batch


def test_a_length_is_no_batch() -> None:
    inputs = {"x": ["sequence", 4]}
    with pytest.raises(ModelError, match="is the symbol 'sequence'; give it a size with --dim sequence=N"):
        read([node("Relu", "x")], inputs)
    assert read([node("Relu", "x")], inputs, dims={"sequence": 9}).outputs[0].shape == (9, 4)
    with pytest.raises(ModelError, match="no dimension of the model's inputs is a batch; set sizes with --dim"):
        read([node("Relu", "x")], inputs, dims={"sequence": 9}, batch=2)


def test_the_batch_of_a_recurrent_cell_is_its_inputs_second_dimension() -> None:
    cell = node("GRU", "x w r", "y h", hidden_size=8)
    graph = read([cell], {"x": [5, 1, 4]}, weights={"w": [1, 24, 4], "r": [1, 24, 8]}, batch=3)
    assert [tensor.shape for tensor in graph.layers[0].outputs] == [(5, 1, 3, 8), (1, 3, 8)]


def test_a_size_frozen_into_a_reshape_is_refused_when_the_symbol_differs() -> None:
    nodes = [node("Reshape", "x shape")]
    inputs = {"x": ["batch", "length", 16]}
    constants = {"shape": np.array([1, 12, 4, 4])}
    assert read(nodes, inputs, constants=constants, dims={"length": 12}).outputs[0].shape == (1, 12, 4, 4)
    with pytest.raises(ModelError, match=r"'reshape_y' \(Reshape\) makes 192 elements out of 256: a size from the"):
        read(nodes, inputs, constants=constants, dims={"length": 16})


# -- what does not fit ------------------------------------------------------------------------------------


def test_a_node_that_does_not_fit_its_operands_is_named() -> None:
    with pytest.raises(ModelError, match=r"node 'matmul_y' \(MatMul\) does not fit its operands \(4x8, 9x2\)"):
        read([node("MatMul", "x w")], {"x": [4, 8]}, weights={"w": [9, 2]})


def test_a_tensor_that_nothing_writes_is_named() -> None:
    with pytest.raises(ModelError, match=r"'relu_y' \(Relu\) reads 'ghost', which nothing before it writes"):
        read([node("Relu", "ghost")], {"x": [4]})


def test_an_output_that_nothing_writes_is_named() -> None:
    with pytest.raises(ModelError, match="no node writes the model's output 'z'"):
        read([node("Relu", "x")], {"x": [4]}, "z")


def test_nodes_without_names_get_unique_ones() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    assert [layer.name for layer in read(nodes, {"x": [4]}).layers] == ["Relu:a", "Relu:y"]
    twice = [node("Relu", "x", "a", name="r"), node("Relu", "a", "y", name="r")]
    assert [layer.name for layer in read(twice, {"x": [4]}).layers] == ["r", "r~2"]


def test_the_parts_of_a_node_keep_its_module() -> None:
    product = node("Einsum", "a b c", name="/head/mix/Einsum", equation="ij,jk,kl->il")
    graph = read([product], {"a": [5, 2], "b": [2, 6], "c": [6, 3]})
    assert {layer.module for layer in graph.layers} == {"head.mix"}


# -- exported from PyTorch --------------------------------------------------------------------------------


def test_the_newer_exporters_scopes_give_the_module() -> None:
    scoped = node("Relu", "x")
    entry = scoped.metadata_props.add()
    entry.key, entry.value = "pkg.torch.onnx.name_scopes", "['', 'encoder', 'encoder.act', 'relu']"
    assert read([scoped], {"x": [4]}).layers[0].module == "encoder.act"
    entry.value = "[" * 5000
    assert read([scoped], {"x": [4]}).layers[0].module == ""


def test_a_weights_name_tells_the_module_where_nothing_else_does() -> None:
    weights = {"body.0.fc.weight": np.zeros((8, 8), np.float32), "body.0.fc.bias": np.zeros(8, np.float32)}
    nodes = [node("Gemm", "x body.0.fc.weight body.0.fc.bias", "a"), node("Relu", "a", "y")]
    product, activation = read(nodes, {"x": [4, 8]}, constants=weights).layers
    assert (product.module, activation.module) == ("body.0.fc", "")


def test_a_vector_that_happens_to_equal_another_modules_tells_no_module() -> None:
    """Exporters store equal weights once: the zero bias of one layer may go by the name of another's."""
    weights = {
        "one.weight": np.ones((8, 8), np.float32), "one.bias": np.zeros(8, np.float32),
        "folded": np.ones((8, 8), np.float32),
    }  # fmt: skip
    nodes = [node("Gemm", "x one.weight one.bias", "a"), node("Gemm", "a folded one.bias", "y")]
    assert [layer.module for layer in read(nodes, {"x": [4, 8]}, constants=weights).layers] == ["one", ""]


def test_a_matrix_that_a_lookup_shares_with_a_product_tells_no_module() -> None:
    table = {"wte.weight": np.zeros((100, 8), np.float32)}
    nodes = [node("Gather", "wte.weight i", "e"), node("Gemm", "e wte.weight", transB=1)]
    layers = read(nodes, {"i": ([4], TensorProto.INT64)}, constants=table).layers
    assert [layer.module for layer in layers] == ["", ""]


def test_a_stack_of_lstms_is_one_layer() -> None:
    torch = pytest.importorskip("torch")
    exported = export(torch.nn.LSTM(32, 64, num_layers=3), torch.randn(10, 2, 32))
    graph = build_graph(exported, name="lstm")
    (stack,) = (layer for layer in graph.layers if layer.kind is LayerKind.RECURRENT)
    assert (stack.work.layers, stack.work.length, stack.work.batch) == (3, 10, 2)  # type: ignore[attr-defined]
    assert stack.macs == sum(part.macs for part in stack.parts) == 10 * 2 * 4 * 64 * (32 + 64 + 2 * (64 + 64))
    assert len(graph.outputs) == 3


def test_a_bidirectional_stack_is_one_layer_and_takes_another_batch() -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.GRU(32, 64, num_layers=2, bidirectional=True, batch_first=True)
    exported = export(module, torch.randn(1, 10, 32))
    for batch in (1, 4):
        graph = build_graph(exported, name="gru", batch=batch)
        (stack,) = (layer for layer in graph.layers if layer.kind is LayerKind.RECURRENT)
        assert (stack.work.layers, stack.work.directions) == (2, 2)  # type: ignore[attr-defined]
        assert stack.macs == 10 * batch * 2 * 3 * 64 * (32 + 64 + 128 + 64)


def test_one_and_three_dimensional_and_transposed_convolutions_from_pytorch() -> None:
    torch = pytest.importorskip("torch")
    layers = [torch.nn.Conv1d(4, 8, 3), torch.nn.ConvTranspose1d(8, 4, 4, stride=2)]
    graph = build_graph(export(torch.nn.Sequential(*layers), torch.randn(2, 4, 20)), name="c", batch=6)
    assert [layer.macs for layer in graph.layers] == [6 * 8 * 18 * 4 * 3, 6 * 18 * 8 * 4 * 4]
    assert [layer.module for layer in graph.layers] == ["0", "1"]
    volume = build_graph(export(torch.nn.Conv3d(1, 4, 3), torch.randn(1, 1, 8, 8, 8)), name="c")
    assert volume.macs == 4 * 6**3 * 27


@pytest.mark.parametrize("fused_encoder", [False], indirect=True)
@pytest.mark.usefixtures("fused_encoder")
def test_a_transformer_with_symbolic_batch_takes_any_batch() -> None:
    torch = pytest.importorskip("torch")
    encoder = torch.nn.TransformerEncoder(
        torch.nn.TransformerEncoderLayer(64, 4, 128, batch_first=True), 2, enable_nested_tensor=False
    )
    exported = export(encoder, torch.randn(1, 12, 64), input_names=["x"], dynamic_axes={"x": {0: "batch"}})
    once, many = (build_graph(exported, name="t", batch=batch) for batch in (1, 5))
    assert many.macs == 5 * once.macs
    for graph in (once, many):
        attention = [layer for layer in graph.layers if layer.kind is LayerKind.ATTENTION]
        assert len(attention) == 2
        assert attention[0].module == "layers.0.self_attn"


def _decoder_blocks() -> Any:
    """Two blocks whose attention is written in PyTorch's own operators."""
    import torch
    from torch import nn

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.mix, self.out = nn.LayerNorm(64), nn.Linear(64, 192), nn.Linear(64, 64)

        def forward(self, x: Any) -> Any:
            batch, length, _ = x.shape
            parts = self.mix(self.norm(x)).split(64, -1)
            q, k, v = (part.view(batch, length, 4, 16).transpose(1, 2) for part in parts)
            scores = (q @ k.transpose(-2, -1)) / 4.0
            mask = torch.tril(torch.ones(length, length)).bool()
            weights = scores.masked_fill(~mask, float("-inf")).softmax(-1)
            return x + self.out((weights @ v).transpose(1, 2).reshape(batch, length, 64))

    return nn.Sequential(Block(), Block())


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_both_exporters_give_the_same_layers_and_modules() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    example = (torch.randn(1, 12, 64),)
    program = torch.onnx.export(_decoder_blocks().eval(), example, dynamo=True, verbose=False)
    graphs = [
        build_graph(each, name="b", batch=6) for each in (export(_decoder_blocks(), *example), program.model_proto)
    ]
    found = [[(layer.work, layer.module) for layer in graph.layers if layer.macs] for graph in graphs]
    assert [work for work, _ in found[0]] == [work for work, _ in found[1]]
    assert [kind.work.kind for kind in graphs[0].layers].count(LayerKind.ATTENTION) == 2
    for modules in ([module for _, module in each] for each in found):
        assert [module for module in modules if module.endswith(("mix", "out"))] == [
            "0.mix", "0.out", "1.mix", "1.out",
        ]  # fmt: skip


@pytest.mark.parametrize(
    "broken",
    [
        node("Shape", "", "y"),
        node("FusedMatMul", "x", "y", domain="com.microsoft"),
        node("MultiHeadAttention", "x", "y", domain="com.microsoft", name="no_heads"),
        node("MaxPool", "x", "y"),
        node("If", "x", "y"),
        node("Loop", "x", "y"),
        node("Einsum", "x x x", "y"),
    ],
)
def test_a_node_without_what_it_needs_is_named(broken: Any) -> None:
    with pytest.raises(ModelError, match=f"'{broken.name}'"):
        read([broken], {"x": [1, 4, 8, 8]})


def test_a_node_that_nothing_reads_is_left_out_and_said() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["y"], name="used"),
        helper.make_node("Sigmoid", ["x"], ["z"], name="unread"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", 1, [1, 8])], [value("y", 1, [1, 8])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    read = build_graph(model, name="dead")
    assert [layer.name for layer in read.layers] == ["used"]
    assert read.notes == ("left out 1 layer(s) whose results nothing reads, in Sigmoid",)
