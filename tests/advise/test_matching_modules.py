"""Profiles that PyTorch records here, on the processor, laid over graphs read from the same modules."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import headroom as hr
from headroom.advise.execution import Execution
from headroom.advise.matching import match
from headroom.errors import ProfileError
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.tensor import DataType
from headroom.measure.profiles.profile import Profile
from headroom.measure.profiles.reading import read_profile

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Block(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Two convolutions and a shortcut; padded by the convolutions, or by operators before them as a converter may."""

    def __init__(self, channels: int, padded_before: bool) -> None:
        super().__init__()
        padding = 0 if padded_before else 1
        self.before = torch.nn.ZeroPad2d(1) if padded_before else torch.nn.Identity()
        self.conv1 = torch.nn.Conv2d(channels, channels, 3, padding=padding, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(channels)
        self.conv2 = torch.nn.Conv2d(channels, channels, 3, padding=padding, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(channels)

    def forward(self, x: Any) -> Any:
        y = torch.relu(self.bn1(self.conv1(self.before(x))))
        return torch.relu(self.bn2(self.conv2(self.before(y))) + x)


class Tokens(torch.nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(100, 32)
        layer = torch.nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, activation="gelu")
        self.encoder = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = torch.nn.Linear(32, 100)

    def forward(self, x: Any) -> Any:
        return self.head(self.encoder(self.embedding(x)))


class WrittenOut(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Attention without the operator for it."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (torch.nn.Linear(32, 32) for _ in range(3))

    def forward(self, x: Any) -> Any:
        query, key, value = (f(x).view(2, 8, 4, 8).transpose(1, 2) for f in (self.query, self.key, self.value))
        weights = torch.softmax(query @ key.transpose(-1, -2) / 8**0.5, -1)
        return (weights @ value).transpose(1, 2).reshape(2, 8, 32)


def _network(padded_before: bool = False) -> Any:
    stem = (torch.nn.Conv2d(3, 16, 3, 2, 1), torch.nn.BatchNorm2d(16), torch.nn.ReLU6())
    blocks = (Block(16, padded_before), Block(16, padded_before))
    head = (torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(16, 10))
    return torch.nn.Sequential(*stem, *blocks, *head).eval()


def _profile(module: Any, inputs: Any, folder: Path) -> Profile:
    with (
        torch.no_grad(),
        torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True) as run,
    ):
        for _ in range(2):
            with torch.profiler.record_function("ProfilerStep"):
                module(inputs)
    run.export_chrome_trace(str(folder / "trace.json"))
    return read_profile(folder / "trace.json")


def _missing(graph: Graph, execution: Execution) -> list[str]:
    """The layers that should have run and did not."""
    working = (at for at, layer in enumerate(graph.layers) if layer.kind.does_work)
    return [
        graph.layers[at].name
        for at in working
        if at not in execution.run_of and graph.layers[at].kind is not LayerKind.MOVEMENT
    ]


def test_a_module_s_layers_are_named_by_the_graph_read_from_it(tmp_path: Path) -> None:
    module, inputs = _network(), torch.randn(2, 3, 32, 32)
    graph = hr.load(module, inputs)
    execution = match(_profile(module, inputs, tmp_path), graph)
    assert _missing(graph, execution) == []
    assert execution.matched_share == pytest.approx(1.0)
    assert (execution.dtype, execution.channels_last, execution.notes) == (DataType.FP32, False, ())


def test_time_on_the_host_is_that_of_the_calls(tmp_path: Path) -> None:
    module, inputs = _network(), torch.randn(2, 3, 32, 32)
    execution = match(_profile(module, inputs, tmp_path), hr.load(module, inputs))
    for run in execution.runs:
        assert run.launches == ()
        assert run.time_us == pytest.approx(sum(call.duration_us for call in execution.calls(run)))


def test_padding_by_operators_is_found_before_each_convolution(tmp_path: Path) -> None:
    inputs = torch.randn(2, 3, 32, 32)
    graph = hr.load(_network(), inputs)
    execution = match(_profile(_network(padded_before=True), inputs, tmp_path), graph)
    near = [graph.layers[run.near].module for run in execution.others if run.purpose == "pad" and run.near is not None]
    assert near == ["3.conv1", "3.conv2", "4.conv1", "4.conv2"]
    assert _missing(graph, execution) == []
    assert execution.explained_share == pytest.approx(1.0)


def test_channels_last_is_noticed(tmp_path: Path) -> None:
    module, inputs = _network(), torch.randn(2, 3, 32, 32)
    graph = hr.load(module, inputs)
    last = torch.channels_last
    assert match(_profile(module.to(memory_format=last), inputs.to(memory_format=last), tmp_path), graph).channels_last


def test_a_layout_changed_by_hand_is_a_copy_near_the_layer_behind_it(tmp_path: Path) -> None:
    class Hesitant(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = _network()

        def forward(self, x: Any) -> Any:
            stem = self.network[:3](x.to(memory_format=torch.channels_last).contiguous())
            return self.network[3:](stem)

    module, inputs = _network(), torch.randn(2, 3, 32, 32)
    graph = hr.load(module, inputs)
    execution = match(_profile(Hesitant().eval(), inputs, tmp_path), graph)
    purposes = [(run.purpose, run.near) for run in execution.others]
    assert purposes == [("copy", 0), ("transpose", 0)]
    assert _missing(graph, execution) == []


def test_another_batch_of_a_module_is_named(tmp_path: Path) -> None:
    module = _network()
    graph = hr.load(module, torch.randn(2, 3, 32, 32))
    with pytest.raises(ProfileError, match="ran batch 8 where Sequential is read at batch 2: add --batch 8"):
        match(_profile(module, torch.randn(8, 3, 32, 32), tmp_path), graph)


def test_another_size_of_image_is_told_from_another_batch(tmp_path: Path) -> None:
    module = _network()
    graph = hr.load(module, torch.randn(2, 3, 32, 32))
    with pytest.raises(ProfileError, match="read 2x3x48x48 there, and reads 2x3x32x32 in Sequential"):
        match(_profile(module, torch.randn(2, 3, 48, 48), tmp_path), graph)


def test_another_length_of_sequence_is_told_from_another_batch(tmp_path: Path) -> None:
    module = Tokens().eval()
    graph = hr.load(module, torch.randint(100, (2, 16)))
    with pytest.raises(ProfileError, match="give the model the input that the profile was recorded with"):
        match(_profile(module, torch.randint(100, (2, 24)), tmp_path), graph)
    with pytest.raises(ProfileError, match="add --batch 6"):
        match(_profile(module, torch.randint(100, (6, 16)), tmp_path), graph)


@pytest.mark.usefixtures("fused_encoder")
def test_a_transformer_s_fused_call_is_looked_into(tmp_path: Path) -> None:
    module, inputs = Tokens().eval(), torch.randint(100, (2, 16))
    graph = hr.load(module, inputs)
    execution = match(_profile(module, inputs, tmp_path), graph)
    assert _missing(graph, execution) == []
    fused = [run for run in execution.runs if len(run.layers) > 1]
    assert [[graph.layers[at].step for at in run.layers] for run in fused] == [["matmul", "gelu"]] * 2


class Many(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Operators of every family, after a few convolutions that tell the model."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = torch.nn.Sequential(*(torch.nn.Conv2d(4, 4, 3, padding=1) for _ in range(4)))
        self.group, self.instance, self.rms = torch.nn.GroupNorm(2, 4), torch.nn.InstanceNorm2d(4), torch.nn.RMSNorm(16)
        self.up = torch.nn.ConvTranspose2d(4, 4, 2, 2)

    def forward(self, x: Any) -> Any:
        F = torch.nn.functional  # noqa: N806 - as everyone calls it
        x = self.convolutions(x)
        normed = self.rms(self.group(x)) + self.instance(torch.sigmoid(x) * F.hardswish(x))
        moved = F.interpolate(x, scale_factor=2), F.pixel_shuffle(x, 2), x.roll(1, 2), torch.stack([x, x]), x[:, [0, 2]]
        pointwise = F.glu(x, 3), torch.where(x > 0, x, -x), F.softplus(x), F.mish(x), F.elu(x), x.exp(), x**2
        reduced = x.sum(), x.var(1), x.norm(dim=1), torch.cumsum(x, 1), x.argmax(1), F.log_softmax(x, 1)
        pooled = F.avg_pool2d(x, 2), F.adaptive_max_pool2d(x, 1), torch.flip(x, [1]), F.unfold(x, 3), x.half()
        return self.up(normed), moved, pointwise, reduced, pooled, torch.einsum("bchw,bkhw->bck", x, x)


def test_operators_of_every_family_find_their_layers(tmp_path: Path) -> None:
    module, inputs = Many().eval(), torch.randn(2, 4, 16, 16)
    graph = hr.load(module, inputs)
    execution = match(_profile(module, inputs, tmp_path), graph)
    assert [at for at, layer in enumerate(graph.layers) if layer.kind.does_work and at not in execution.run_of] == []
    assert execution.matched_share == pytest.approx(1.0, abs=0.02)


def test_a_normalisation_of_many_operators_is_one_layer(tmp_path: Path) -> None:
    conv = partial(torch.nn.Conv2d, padding=1)
    module = torch.nn.Sequential(conv(3, 16, 3), torch.nn.ReLU(), torch.nn.LocalResponseNorm(5), conv(16, 16, 3)).eval()
    inputs = torch.randn(2, 3, 16, 16)
    graph = hr.load(module, inputs)
    execution = match(_profile(module, inputs, tmp_path), graph)
    assert _missing(graph, execution) == []
    assert execution.explained_share > 0.9


def test_written_out_attention_is_one_layer_of_several_calls(tmp_path: Path) -> None:
    module, inputs = WrittenOut().eval(), torch.randn(2, 8, 32)
    graph = hr.load(module, inputs)
    execution = match(_profile(module, inputs, tmp_path), graph)
    attention = next(at for at, layer in enumerate(graph.layers) if layer.kind is LayerKind.ATTENTION)
    calls = [call.name for call in execution.calls(execution.runs[execution.run_of[attention]])]
    assert calls == ["aten::matmul", "aten::div", "aten::softmax", "aten::matmul"]
    assert execution.matched_share > 0.9
