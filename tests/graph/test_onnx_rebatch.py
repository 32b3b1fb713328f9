"""Carrying a model over to another batch: constants that say the old one are corrected, or it is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from headroom.errors import ModelError
from headroom.graph.graph import Graph
from headroom.graph.onnx.axes import BatchAxis, carried_through
from headroom.graph.onnx.read import build_graph
from onnx_models import export, model, node


def read(nodes: Any, inputs: Any, outputs: str = "y", *, batch: int = 6, **options: Any) -> Graph:
    arrays = {name: np.asarray(value) for name, value in options.pop("constants", {}).items()}
    return build_graph(model(nodes, inputs, outputs, constants=arrays, **options), name="test", batch=batch)


def reshaped(source: list[int], target: list[int], batch: int = 6) -> tuple[int, ...]:
    graph = read([node("Reshape", "x shape")], {"x": source}, constants={"shape": target}, batch=batch)
    return graph.outputs[0].shape


# -- reshapes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target", "result"),
    [
        ([1, 512, 7, 7], [1, 25088], (6, 25088)),
        ([1, 512, 7, 7], [1, -1], (6, 25088)),
        ([1, 512, 7, 7], [-1, 25088], (6, 25088)),
        ([1, 512, 7, 7], [0, -1], (6, 25088)),
        ([1, 112, 56, 56], [1, 4, 28, 56, 56], (6, 4, 28, 56, 56)),
        ([1, 128, 768], [1, 128, -1, 64], (6, 128, 12, 64)),
        ([1, 12, 128, 64], [-1, 128, 64], (72, 128, 64)),
        ([1, 12, 128, 64], [12, 128, 64], (72, 128, 64)),
        ([1, 196, 768], [196, 768], (1176, 768)),
        ([4, 3, 8], [12, 8], (18, 8)),
        ([4, 3, 8], [4, 24], (6, 24)),
        ([4, 3, 8], [2, 2, 24], None),
    ],
)
def test_a_batch_frozen_in_a_reshape_is_rescaled(
    source: list[int], target: list[int], result: tuple[int, ...] | None
) -> None:
    if result is None:
        with pytest.raises(ModelError, match=r"'reshape_y' \(Reshape\) mixes the batch of 4 with other dimensions"):
            reshaped(source, target)
    else:
        assert reshaped(source, target) == result


def test_a_batch_in_the_middle_is_followed_through_a_packed_attention_projection() -> None:
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node("Reshape", "t split", "s"),
        node("Transpose", "s", "h", perm=[1, 0, 2]),
        node("Reshape", "h unpack", "u"),
        node("Transpose", "u", "v", perm=[2, 0, 1, 3]),
        node("Reshape", "v flat", "f"),
        node("MatMul", "f w", "y"),
    ]
    constants = {"split": [197, 12, 64], "unpack": [1, 12, 197, 64], "flat": [197, 768]}
    graph = read(nodes, {"x": [1, 197, 768]}, constants=constants, weights={"w": [768, 768]})
    shapes = [layer.outputs[0].shape for layer in graph.layers]
    assert shapes == [
        (197, 6, 768), (197, 72, 64), (72, 197, 64), (6, 12, 197, 64), (197, 6, 12, 64), (1182, 768), (1182, 768),
    ]  # fmt: skip
    assert graph.macs == 6 * 197 * 768 * 768


@given(outer=st.integers(2, 5), batch=st.integers(2, 4), inner=st.integers(2, 5), features=st.integers(2, 4))
def test_a_known_batch_keeps_its_stride_through_any_regrouping(
    outer: int, batch: int, inner: int, features: int
) -> None:
    source = (outer, batch, inner, features)
    axis = BatchAxis(1)
    for result in (
        (outer * batch, inner, features),
        (outer, batch * inner, features),
        (outer, batch, inner * features),
        (outer * batch * inner * features,),
    ):
        found = carried_through(source, axis, result, batch)
        assert found is not None
        assert found.stride(result) == axis.stride(source)


# -- other constants --------------------------------------------------------------------------------------


def test_a_constant_token_joined_to_every_sample_grows() -> None:
    nodes = [node("Concat", "token x", axis=1)]
    graph = read(nodes, {"x": [1, 196, 768]}, weights={"token": [1, 1, 768]})
    assert graph.outputs[0].shape == (6, 197, 768)


def test_a_token_expanded_to_the_old_batch_grows() -> None:
    nodes = [node("Expand", "token shape", "t"), node("Concat", "t x", axis=1)]
    constants = {"shape": [2, 1, 8]}
    graph = read(nodes, {"x": [2, 5, 8]}, weights={"token": [1, 1, 8]}, constants=constants)
    assert graph.outputs[0].shape == (6, 6, 8)


def test_a_mask_stored_per_sample_grows() -> None:
    graph = read([node("Add", "x mask")], {"x": [4, 8, 8]}, weights={"mask": [4, 1, 8]})
    assert graph.outputs[0].shape == (6, 8, 8)
    assert graph.layers[0].weights[0].shape == (6, 1, 8)


@pytest.mark.parametrize(
    ("operator", "constants", "shape"),
    [
        (node("Expand", "x size"), {"size": [4, 3, 5]}, (6, 3, 5)),
        (node("Slice", "x start end"), {"start": [0], "end": [4]}, (6, 3, 1)),
        (node("Resize", "x - - size"), {"size": [4, 6, 2]}, (6, 6, 2)),
    ],
)
def test_sizes_that_repeat_the_old_batch_are_corrected(
    operator: Any, constants: dict[str, list[int]], shape: tuple[int, ...]
) -> None:
    assert read([operator], {"x": [4, 3, 1]}, constants=constants).outputs[0].shape == shape


def test_a_strided_view_written_as_a_gather_grows() -> None:
    nodes = [node("Reshape", "x flat", "f"), node("Gather", "f i", "y", axis=0)]
    constants = {"flat": [-1], "i": np.arange(768).reshape(1, 768, 1, 1)}
    graph = read(nodes, {"x": [1, 768, 1, 1]}, constants=constants)
    assert graph.outputs[0].shape == (6, 768, 1, 1)


def test_an_unknown_operators_declared_shape_grows() -> None:
    mystery = node("Mystery", "x", "h", domain="local")
    graph = read([mystery, node("Relu", "h")], {"x": [1, 8]}, declared={"h": [1, 3]})
    assert graph.outputs[0].shape == (6, 3)


def test_a_constant_grid_is_sampled_for_every_sample() -> None:
    graph = read([node("GridSample", "x grid")], {"x": [1, 3, 8, 8]}, weights={"grid": [1, 4, 4, 2]}, opset=16)
    assert graph.outputs[0].shape == (6, 3, 4, 4)


@pytest.mark.parametrize(
    ("operator", "inputs", "weights"),
    [
        (node("Conv", "x w b"), {"x": [8, 8, 5, 5]}, {"w": [8, 8, 3, 3], "b": [8]}),
        (node("Gemm", "x w b", transB=1), {"x": [8, 8]}, {"w": [8, 8], "b": [8]}),
        (node("MatMul", "x w"), {"x": [8, 8]}, {"w": [8, 8]}),
        (node("Gather", "w x"), {"x": ([8, 8], TensorProto.INT64)}, {"w": [8, 8]}),
        (node("PRelu", "x w"), {"x": [8, 8, 4]}, {"w": [8, 1]}),
        (node("LSTM", "x w r b", hidden_size=8, direction="bidirectional"), {"x": [5, 2, 4]},
         {"w": [2, 32, 4], "r": [2, 32, 8], "b": [2, 64]}),
    ],
)  # fmt: skip
def test_a_weight_as_large_as_the_exported_batch_stays(
    operator: Any, inputs: dict[str, Any], weights: dict[str, list[int]]
) -> None:
    before = build_graph(model([operator], inputs, weights=weights), name="test")
    after = read([operator], inputs, weights=weights, batch=3 * before.batch)
    assert after.layers[0].weights == before.layers[0].weights
    assert after.macs == 3 * before.macs


def test_a_constant_with_more_dimensions_grows_where_the_shapes_align() -> None:
    graph = read([node("Add", "x state")], {"x": [4, 8]}, weights={"state": [1, 4, 8]})
    assert graph.outputs[0].shape == (1, 6, 8)


def test_the_state_of_a_recurrent_cell_grows_in_its_second_dimension() -> None:
    first = [node("Transpose", "x", "t", perm=[1, 0, 2]), node("Slice", "h zero one", "h0")]
    cell = node("GRU", "t w r - - h0", "s last", hidden_size=4)
    graph = read(
        [*first, cell], {"x": [1, 7, 8], "h": [2, 1, 4]}, "s",
        weights={"w": [1, 12, 8], "r": [1, 12, 4]}, constants={"zero": [0], "one": [1]},
    )  # fmt: skip
    assert [tensor.shape for tensor in graph.inputs] == [(6, 7, 8), (2, 6, 4)]


# -- refusals ---------------------------------------------------------------------------------------------


def test_a_sample_picked_out_of_the_batch_is_refused() -> None:
    nodes = [node("Gather", "x zero", "first", axis=0), node("MatMul", "first w")]
    with pytest.raises(ModelError, match=r"node 'gather_first' \(Gather\) grows 1-fold instead of 6-fold"):
        read(nodes, {"x": [4, 3, 8]}, constants={"zero": 0}, weights={"w": [8, 8]}, batch=24)


def test_attention_across_the_batch_is_refused() -> None:
    nodes = [node("Transpose", "x", "t", perm=[1, 0]), node("MatMul", "x t", "y", name="across")]
    with pytest.raises(ModelError, match=r"'across' \(MatMul\) grows 36-fold instead of 6-fold from the exported"):
        read(nodes, {"x": [1, 8]})


def test_a_loss_that_averages_over_the_batch_is_refused() -> None:
    nodes = [node("ReduceMean", "x axes", keepdims=0)]
    with pytest.raises(ModelError, match=r"'reducemean_y' \(ReduceMean\) grows 1-fold instead of 6-fold"):
        read(nodes, {"x": [1, 8]}, constants={"axes": [0, 1]})


def test_a_gradient_operator_refuses_another_batch_by_name() -> None:
    nodes = [node("ReluGrad", "d x", domain="com.microsoft", name="relu_back")]
    sentence = r"--batch 6 does not work for a training graph \(node 'relu_back' \(ReluGrad\) computes gradients\)"
    with pytest.raises(ModelError, match=sentence):
        read(nodes, {"d": [1, 8], "x": [1, 8]})


def test_inputs_without_the_batch_stay_as_they_are() -> None:
    inputs = {"x": [1, 8, 16], "table": [16, 4], "steps": ([], TensorProto.INT64)}
    graph = read([node("MatMul", "x table")], inputs)
    assert [tensor.shape for tensor in graph.inputs] == [(6, 8, 16), (16, 4), ()]
    assert graph.macs == 6 * 8 * 16 * 4


def test_the_exported_batch_changes_nothing() -> None:
    nodes = [node("Reshape", "x shape"), node("Relu", "y", "z")]
    graph = read(nodes, {"x": [4, 3, 8]}, "z", constants={"shape": [12, 8]}, batch=4)
    assert graph.outputs[0].shape == (12, 8)


# -- against what an export with the other batch says -----------------------------------------------------


def _networks() -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Networks whose code reads sizes off its tensors, which freezes them; with the shape of one sample."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Windows(nn.Module):  # type: ignore[misc]
        """Attention in 4x4 windows of a shifted picture."""

        def __init__(self) -> None:
            super().__init__()
            self.mix, self.bias = nn.Linear(32, 96), nn.Parameter(torch.zeros(4, 16, 16))

        def forward(self, x: Any) -> Any:
            batch, height, width, channels = x.shape
            x = torch.roll(x, (-2, -2), (1, 2)).view(batch, height // 4, 4, width // 4, 4, channels)
            windows = x.permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, channels)
            q, k, v = self.mix(windows).reshape(-1, 16, 3, 4, 8).permute(2, 0, 3, 1, 4).unbind(0)
            weights = (q @ k.transpose(-2, -1) / 8**0.5 + self.bias).softmax(-1)
            x = (weights @ v).transpose(1, 2).reshape(batch, height // 4, width // 4, 4, 4, channels)
            return x.permute(0, 1, 3, 2, 4, 5).reshape(batch, height, width, channels)

    class Pyramid(nn.Module):  # type: ignore[misc]
        """Two scales joined, shuffled channels, a flattened head."""

        def __init__(self) -> None:
            super().__init__()
            self.fine, self.coarse = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 32, 3, stride=2, padding=1)
            self.head = nn.Linear(48 * 64, 5)

        def forward(self, x: Any) -> Any:
            fine = self.fine(x)
            coarse = functional.interpolate(self.coarse(fine), size=fine.shape[2:], mode="bilinear")
            x = torch.cat([fine, coarse], 1)
            batch, channels, height, width = x.shape
            x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)
            return self.head(functional.max_pool2d(x, 2).view(batch, -1))

    class Memory(nn.Module):  # type: ignore[misc]
        """A recurrent network with an initial state of its own, sequence first."""

        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = nn.LSTM(8, 16, 2), nn.Linear(16, 4)

        def forward(self, x: Any) -> Any:
            state = torch.zeros(2, x.shape[0], 16)
            y, _ = self.cell(x.transpose(0, 1), (state, state))
            return self.head(y[-1])

    class Patches(nn.Module):  # type: ignore[misc]
        """A picture taken apart into four pixel positions, each a sequence of its own; then put together."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)

        def forward(self, x: Any) -> Any:
            batch, channels, height, width = x.shape
            rows, count = batch * channels * height // 2, height * width // 4
            y = x.reshape(rows, 2, width // 2, 2).transpose(1, 2).reshape(batch, channels, count, 4)
            y = self.encoder(y.transpose(1, 3).reshape(batch * 4, count, channels))
            y = y.view(batch, 4, count, channels).transpose(1, 3).reshape(rows, width // 2, 2, 2)
            return y.transpose(1, 2).reshape(batch, channels, height, width)

    return {
        "windows": (Windows(), (8, 8, 32)),
        "pyramid": (Pyramid(), (3, 16, 16)),
        "memory": (Memory(), (7, 8)),
        "patches": (Patches(), (16, 8, 8)),
    }


@pytest.mark.parametrize("exported_batch", [1, 3])
@pytest.mark.parametrize("name", ["windows", "pyramid", "memory", "patches"])
def test_a_carried_over_model_is_the_one_exported_with_that_batch(name: str, exported_batch: int) -> None:
    torch = pytest.importorskip("torch")
    module, sample = _networks()[name]
    exported, truth = (export(module, torch.randn(batch, *sample)) for batch in (exported_batch, 6))
    carried = build_graph(exported, name=name, batch=6)
    expected = build_graph(truth, name=name)
    assert [tensor.shape for tensor in carried.outputs] == [tensor.shape for tensor in expected.outputs]
    for kind in {layer.kind for layer in expected.layers if layer.macs}:
        computed = [[layer.work for layer in graph.layers if layer.kind is kind] for graph in (carried, expected)]
        assert computed[0] == computed[1], kind
