"""The network of a chosen point: what it equals, what it is saved as, how it is tuned, exported, compiled, timed."""

from __future__ import annotations

import copy
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import headroom as hr
from headroom.change.synapses.modules import SlimChannels, SlimConv2d, SlimLinear
from headroom.change.synapses.stored import load_slim


@pytest.fixture(scope="module")
def fastest(planned):
    return planned.for_loss(1e6)


@pytest.fixture(scope="module")
def made(fastest, tmp_path_factory: pytest.TempPathFactory):
    """The network, what became of it, and its folder."""
    folder = tmp_path_factory.mktemp("made")
    network, answer = fastest.apply(folder)
    return network, answer, folder


def test_it_equals_the_dense_network_with_zeros_and_its_losses_are_counted_together(made) -> None:
    _, answer, _ = made
    assert answer.applied.difference < 1e-12
    assert 0 < answer.applied.output_difference < 2
    assert answer.applied.tuned_loss_points is None
    assert answer.applied.measured is None


def test_filters_go_with_channels_that_nobody_else_reads_and_others_are_selected(made) -> None:
    network, answer, _ = made
    assert set(answer.applied.smaller) >= {"second"}
    assert type(network.second) is nn.Conv2d
    assert network.first.out_channels == network.second.in_channels < 64
    assert isinstance(network.hidden, SlimLinear) or isinstance(network.left, SlimChannels)


def test_outputs_have_their_shape_and_are_near_the_dense_network_s(made, nets) -> None:
    network, _, _ = made
    inputs = nets.pair()[1]
    with torch.no_grad():
        assert network(inputs).shape == nets.net()(inputs).shape


def test_what_is_saved_is_loaded_into_a_fresh_network_without_pickle(made, nets) -> None:
    network, _, folder = made
    again = load_slim(nets.net(), folder).eval()
    inputs = nets.pair()[1]
    with torch.no_grad():
        assert torch.equal(again(inputs), network(inputs))
    assert sorted(path.name for path in folder.iterdir()) == ["synapses.json", "weights.pt"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"smaller": [', '"smaller": [3, '),
        ('"tensors": {', '"tensors": {"nowhere.weight": [1], '),
        ('"widths": {', '"widths": {"format": 1, "x": '),
        ('"bias": [', '"bias": ["nowhere", '),
    ],
)
def test_a_damaged_description_is_said(made, nets, tmp_path: Path, before, after) -> None:
    _, _, folder = made
    text = (folder / "synapses.json").read_text()
    assert before in text
    (tmp_path / "synapses.json").write_text(text.replace(before, after))
    (tmp_path / "weights.pt").write_bytes((folder / "weights.pt").read_bytes())
    with pytest.raises(hr.ModelError):
        load_slim(nets.net(), tmp_path)


def test_it_compiles_as_a_whole(made, nets) -> None:
    network, _, _ = made
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    inputs = nets.pair()[1]
    with torch.no_grad():
        assert torch.allclose(compiled(inputs), network(inputs), atol=1e-5)


def test_the_onnx_file_gathers_and_gives_the_same_at_any_batch(fastest, nets, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    network, answer = fastest.apply(tmp_path / "out", onnx=tmp_path / "slim.onnx")
    assert str(tmp_path / "slim.onnx") in answer.applied.files
    held = onnx.load(tmp_path / "slim.onnx")
    assert "Gather" in {node.op_type for node in held.graph.node}
    session = runtime.InferenceSession(str(tmp_path / "slim.onnx"), providers=["CPUExecutionProvider"])
    inputs = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    (found,) = session.run(None, {"input": inputs.numpy()})
    with torch.no_grad():
        assert np.allclose(found, network(inputs).numpy(), atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_networks_of_16_bits_are_exported_too(tmp_path: Path, dtype) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    network = nn.Sequential(nn.Linear(1024, 512), nn.ReLU(), nn.Linear(512, 8)).to(dtype)
    example = torch.randn(4, 1024, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = hr.slim(network, example, batch=512, source="predicted", correlate="weights", max_loss=100)
    _, answer = found.apply(tmp_path / "out", onnx=tmp_path / "slim.onnx")
    assert (tmp_path / "slim.onnx").exists()
    assert any("not run" in note for note in answer.applied.notes) == (dtype is torch.bfloat16)


def test_an_export_that_fails_leaves_no_network_behind(fastest, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("onnx")
    monkeypatch.setattr(torch.onnx, "export", lambda *given, **options: 1 / 0)
    with pytest.raises(hr.ModelError, match="cannot be exported to ONNX: ZeroDivisionError"):
        fastest.apply(tmp_path / "out", onnx=tmp_path / "slim.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_user_s_training_function_tunes_the_slim_network(fastest, nets, tmp_path: Path) -> None:
    network, answer = fastest.apply(tmp_path, finetune="slim_nets:train")
    assert answer.applied.tuned_loss_points is not None
    assert not network.training
    again = load_slim(nets.net(), tmp_path).eval()
    inputs = nets.pair()[1]
    with torch.no_grad():
        assert torch.equal(again(inputs), network(inputs))


@pytest.mark.parametrize(
    ("train", "sentence"),
    [
        (lambda network: 1 / 0, "fine-tuning failed with ZeroDivisionError"),
        (lambda network: sys.exit(4), "fine-tuning failed with SystemExit: 4"),
        (lambda network: setattr(network, "last", nn.Linear(2, 2)), "fine-tuning changed the sizes"),
    ],
)
def test_tuning_that_fails_is_said_and_nothing_is_written(fastest, tmp_path: Path, train, sentence) -> None:
    with pytest.raises(hr.ModelError, match=sentence):
        fastest.apply(tmp_path / "out", finetune=train)
    assert not (tmp_path / "out").exists()


def test_a_front_is_saved_with_its_weights_and_any_point_of_it_made_later(planned, nets, tmp_path: Path) -> None:
    path = planned.save_frontier(tmp_path / "front.json")
    found = hr.load_frontier(path, max_loss=1e6)
    assert [point.ways for point in found.study.front] == [point.ways for point in planned.study.front]
    with pytest.raises(hr.UsageError, match="load it with its network"):
        found.apply(tmp_path / "out")
    with pytest.raises(hr.UsageError, match="in its file already"):
        found.save_frontier(tmp_path / "again.json")

    whole = hr.load_frontier(path, nets.net(), nets.pair()[1], data=nets.labelled, max_loss=1e6)
    network, answer = whole.apply(tmp_path / "out")
    direct, _ = planned.for_loss(1e6).apply(tmp_path / "direct")
    inputs = nets.pair()[1]
    with torch.no_grad():
        assert torch.allclose(network(inputs), direct(inputs), atol=1e-6)
    assert answer.applied.difference < 1e-12


class Flattened(nn.Module):
    """A convolution, a flattening, two linear layers; ``permuted`` puts a pixel's channels side by side instead."""

    def __init__(self, permuted: bool) -> None:
        super().__init__()
        self.permuted = permuted
        self.conv = nn.Conv2d(8, 64, 3, padding=1)
        self.hidden, self.last = nn.Linear(1024, 512), nn.Linear(512, 10)

    def forward(self, inputs):
        pooled = nn.functional.max_pool2d(self.conv(inputs).relu(), 2)
        pooled = pooled.permute(0, 2, 3, 1) if self.permuted else pooled
        return self.last(self.hidden(pooled.flatten(1)).relu())


@pytest.mark.parametrize("permuted", [False, True])
def test_filters_go_through_a_flattening_where_their_features_lie_side_by_side(permuted: bool, tmp_path: Path) -> None:
    example = torch.randn(1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    found = hr.slim(Flattened(permuted), example, batch=512, dtype="fp32", source="predicted", max_loss=1e6)
    network, answer = found.apply(tmp_path)

    removed = {layer.name: way.retained for layer, way in found.study.removed()}
    conv = getattr(network.conv, "conv", network.conv)
    assert answer.applied.difference < 1e-12
    assert removed["hidden"] % 16 == 0
    assert network.hidden.out_features == removed["last"], "the second linear layer's producer goes in either case"
    assert conv.out_channels == (64 if permuted else removed["hidden"] // 16)
    assert answer.applied.smaller == (("last",) if permuted else ("hidden", "last"))
    assert any(note.startswith("hidden: Producers keep their filters") for note in answer.applied.notes) is permuted


def test_ways_tuned_by_themselves_go_together(nets, tmp_path: Path) -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 8)
    )
    touched = []

    def train(tuned: nn.Module) -> None:
        moving = [name for name, each in tuned.named_parameters() if each.requires_grad]
        touched.append(tuple(moving))
        with torch.no_grad():
            for name, each in tuned.named_parameters():
                if name in moving:
                    each.add_(0.001)

    inputs = torch.randn(4, 16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = hr.slim(network, inputs[0], data=list(inputs), finetune=train, batch=512, source="predicted", max_loss=1e6)

    assert touched
    assert all(len({name.split(".")[0] for name in each}) == 1 for each in touched)
    assert all(way.tuned for layer in found.study.layers for way in layer.ways[1:])
    assert found.apply(tmp_path)[1].applied.difference < 1e-12


def test_weights_of_another_network_are_refused(planned, nets, tmp_path: Path) -> None:
    path = planned.save_frontier(tmp_path / "front.json")
    trained = nets.net()
    with torch.no_grad():
        trained.last.bias[0] += 1e-3
    since = hr.load_frontier(path, trained, nets.pair()[1], data=nets.inputs, max_loss=1e6)
    with pytest.raises(hr.ModelError, match="not of this network: another one was planned, or it was trained since"):
        since.apply(tmp_path / "out")
    other = copy.deepcopy(nets.net())
    other.second = nn.Conv2d(64, 96, 3, padding=1)
    other.norm, other.left, other.right = nn.BatchNorm2d(96), nn.Conv2d(96, 32, 3), nn.Conv2d(96, 32, 3)
    found = hr.load_frontier(path, other, nets.pair()[1], data=nets.inputs, max_loss=1e6)
    with pytest.raises(hr.ModelError, match="not of this network"):
        found.apply(tmp_path / "out")
    weights = path.with_suffix(".json.pt")
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(hr.ModelError, match=r"cannot read [^.]*front.json.pt: [^.]*; save it again$"):
        found.apply(tmp_path / "out")
    weights.unlink()
    with pytest.raises(hr.ModelError, match="cannot read"):
        found.apply(tmp_path / "out")


def test_a_folder_that_cannot_be_made_is_said(fastest, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(hr.UsageError, match="cannot write to"):
        fastest.apply(tmp_path / "file" / "out")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 1}', "no json"])
def test_what_is_no_front_is_said(tmp_path: Path, text) -> None:
    (tmp_path / "front.json").write_text(text)
    with pytest.raises(hr.ModelError, match=r"front.json"):
        hr.load_frontier(tmp_path / "front.json")


def test_the_dense_network_is_not_made_again(planned, tmp_path: Path) -> None:
    dense = planned.study.dense
    stays = hr.Slimming(
        planned.study.__class__(**{**vars(planned.study), "chosen": dense}), planned._kept, planned._subject
    )
    with pytest.raises(hr.UsageError, match="is the dense network"):
        stays.apply(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def _fake_gpu(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The host in the GPU's place: everything but the figures is as it would be."""
    monkeypatch.setenv("HEADROOM_BENCH", "fake")
    monkeypatch.chdir(folder)


@pytest.mark.usefixtures("_fake_gpu")
def test_measured_ways_have_the_column_grain_among_them(nets) -> None:
    network = nn.Sequential(nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Conv2d(16, 8, 3))
    example = torch.randn(1, 8, 8, 8)
    study = hr.slim(network, example, batch=2, measure=True, source="predicted", dtype="fp32", max_loss=1e6).study
    assert all(layer.dense.source == "measured" for layer in study.layers)
    assert all(way.source == "measured" for layer in study.layers for way in layer.ways)
    assert not any("unknown until measured" in note for layer in study.layers for note in layer.notes)


@pytest.mark.usefixtures("_fake_gpu")
def test_both_networks_are_timed_in_turn_and_a_slower_one_is_refused(nets, tmp_path: Path, monkeypatch) -> None:
    from headroom.change.synapses.planning import timing
    from headroom.change.synapses.planning.applied import Measured

    found = hr.slim(
        "slim_nets:small", data="slim_nets:small_labelled", correlate="weights", batch=512, source="predicted",
        dtype="fp32", max_loss=1e6,
    )  # fmt: skip
    # Which of the two is faster on the host is nobody's business here.
    with suppress(hr.UsageError):
        _, answer = found.apply(tmp_path / "real", measure=True)
        assert answer.applied.measured.dense_us > answer.applied.measured.slim_us > 0
        assert "rehearsal" in answer.applied.measured.device

    monkeypatch.setattr(timing, "time_networks", lambda *given: Measured("a GPU", 10.0, 11.0, 1.0))
    with pytest.raises(hr.UsageError, match=r"slim network takes 11.0 µs and the dense one 10.0 µs: refused"):
        found.apply(tmp_path / "out", measure=True)
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(timing, "time_networks", lambda *given: Measured("a GPU", 10.0, 5.0, 1.0))
    _, answer = found.apply(tmp_path / "out", measure=True)
    assert answer.applied.measured.speedup == 2
    assert (tmp_path / "out" / "synapses.json").exists()


def test_columns_are_proved_saved_and_exported_too(nets, tmp_path: Path) -> None:
    """The column grain needs a measured time to be planned; whoever has one gets the same proofs."""
    from headroom.change.synapses import Selection, SynapsePlan, Transform
    from headroom.change.synapses.plan import LayerPlan
    from headroom.change.synapses.planning.export import export_onnx
    from headroom.change.synapses.slim import Removal, slim
    from headroom.change.synapses.stored import save_slim
    from headroom.change.synapses.vectors import Grain

    pytest.importorskip("onnx")
    network = nn.Sequential(nn.Conv2d(3, 4, 3)).eval()
    stay = np.arange(0, 27, 2)
    who = np.repeat(stay, 2)[:27]
    changed = slim(network, {"0": Removal(Grain.COLUMN, Selection(0.5, stay, who, np.ones(27)), Transform.TRUNCATE)})
    assert isinstance(changed[0], SlimConv2d)
    save_slim(tmp_path, changed, SynapsePlan({"0": LayerPlan(Grain.COLUMN, 0.5, 27, len(stay))}))
    notes = export_onnx(changed, torch.randn(1, 3, 6, 6), tmp_path / "slim.onnx")
    assert any("right there, and slow" in note for note in notes)
