"""An ONNX file becomes a module again: with the file's own weights it computes what the file was made from."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from onnx import numpy_helper

from headroom.errors import ModelError
from headroom.graph.graph import Graph
from headroom.graph.onnx.client import read_onnx
from headroom.measure.networks.inputs import for_graph
from headroom.measure.networks.rebuild import rebuild
from headroom.measure.networks.weights import Key, key_of
from measure_networks.conftest import Export
from measure_networks.small import NETWORKS
from onnx_models import export as export_model
from onnx_models import model, node

CPU = torch.device("cpu")


def stored_weights(path: Path, graph: Graph) -> dict[Key, torch.Tensor]:
    """The file's own constants, which Headroom itself never reads."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    specs = {key_of(spec): spec for layer in graph.layers for spec in layer.weights}
    return {key: torch.tensor(stored[spec.name]).reshape(spec.shape) for key, spec in specs.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_with_the_files_weights_it_computes_what_the_file_was_made_from(name: str, export: Export) -> None:
    path = export(name)
    torch.manual_seed(0)
    module, inputs = NETWORKS[name]()
    graph = read_onnx(path)
    rebuilt = rebuild(graph, torch.float32, CPU, stored_weights(path, graph))
    with torch.inference_mode():
        (found,) = rebuilt(*inputs)
        wanted = module(*inputs)
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["residual", "attention"])
def test_random_weights_give_finite_outputs_of_the_graphs_shapes_in_16_bits(
    name: str, dtype: torch.dtype, export: Export
) -> None:
    graph = read_onnx(export(name), batch=2)
    rebuilt = rebuild(graph, dtype, CPU)
    with torch.inference_mode():
        outputs = rebuilt(*for_graph(graph, dtype, CPU))
    assert [tuple(output.shape) for output in outputs] == [spec.shape for spec in graph.outputs]
    assert all(output.dtype == dtype and bool(output.isfinite().all()) for output in outputs)
    assert all(float(output.float().std()) > 0 for output in outputs)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_compiles_in_one_piece(name: str, export: Export) -> None:
    graph = read_onnx(export(name))
    rebuilt = rebuild(graph, torch.float32, CPU)
    inputs = for_graph(graph, torch.float32, CPU)
    torch._dynamo.reset()
    compiled = torch.compile(rebuilt, backend="eager", fullgraph=True, dynamic=False)
    with torch.inference_mode():
        assert torch.equal(compiled(*inputs)[0], rebuilt(*inputs)[0])


def test_its_weights_and_activations_stand_channels_last_when_asked_to(export: Export) -> None:
    graph = read_onnx(export("residual"))
    rebuilt = rebuild(graph, torch.float32, CPU).to(memory_format=torch.channels_last)
    (image,) = for_graph(graph, torch.float32, CPU)
    orders = []

    class Watch(torch.fx.Interpreter):
        def run_node(self, node: torch.fx.Node) -> object:
            result = super().run_node(node)
            if "conv2d" in str(node.target):
                orders.append(result.is_contiguous(memory_format=torch.channels_last))
            return result

    with torch.inference_mode():
        Watch(rebuilt).run(image.contiguous(memory_format=torch.channels_last))
    assert len(orders) == 3
    assert all(orders)


def test_views_are_views_and_nothing_is_copied_twice(export: Export) -> None:
    rebuilt = rebuild(read_onnx(export("attention")), torch.float32, CPU)
    assert not any("clone" in str(node.target) for node in rebuilt.graph.nodes)


def test_an_operator_that_nobody_knows_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "strange.onnx"
    nodes = [node("Mystery", "x", "h", name="odd", domain="local"), node("Relu", "h", "y")]
    onnx.save(model(nodes, {"x": [2, 4]}, declared={"h": [2, 4]}), path)
    with pytest.raises(ModelError, match=r"cannot be rebuilt.*Mystery \(odd"):
        rebuild(read_onnx(path), torch.float32, CPU)


def test_a_recurrent_network_is_refused_rather_than_taken_apart(tmp_path: Path) -> None:
    path = tmp_path / "recurrent.onnx"
    lstm = export_model(torch.nn.LSTM(8, 16, 2), torch.randn(7, 2, 8))
    onnx.save(lstm, path)
    with pytest.raises(ModelError, match=r"cannot be rebuilt.*recurrent.*give the PyTorch model itself"):
        rebuild(read_onnx(path), torch.float32, CPU)


@pytest.mark.parametrize("name", ["bert_base", "mobilenet_v3_large", "shufflenet_v2_x1_0", "light_densenet121"])
def test_real_networks_are_rebuilt_at_another_batch(name: str, shared_models: Path) -> None:
    graph = read_onnx(shared_models / f"{name}.onnx", batch=2)
    rebuilt = rebuild(graph, torch.float32, CPU)
    with torch.inference_mode():
        outputs = rebuilt(*for_graph(graph, torch.float32, CPU))
    assert [tuple(output.shape) for output in outputs] == [spec.shape for spec in graph.outputs]
    assert all(bool(output.isfinite().all()) for output in outputs)
