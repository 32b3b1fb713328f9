"""Slim layers give what the dense ones give whose removed weights are zero, compiled or not."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from headroom.change.synapses import (
    Grain,
    Selection,
    Transform,
    VectorCorrelation,
    by_vector,
    flat,
    search,
    search_count,
)
from headroom.change.synapses.modules import SlimChannels
from headroom.change.synapses.sampling import sample_inputs
from headroom.change.synapses.slim import Removal, slim
from headroom.errors import UsageError

CONVOLUTIONS = {
    "plain": nn.Conv2d(6, 5, 3),
    "padded": nn.Conv2d(6, 5, 3, padding=1),
    "strided and dilated": nn.Conv2d(6, 5, (3, 2), stride=(2, 3), padding=(2, 1), dilation=(2, 1)),
    "same, unevenly padded": nn.Conv2d(6, 5, (4, 3), padding="same"),
    "without bias": nn.Conv2d(6, 5, 3, bias=False),
    "pointwise": nn.Conv2d(6, 5, 1),
    "float64": nn.Conv2d(6, 5, 3, dtype=torch.float64),
}


@pytest.fixture(autouse=True)
def _same_numbers_every_time():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        yield


def half(layer: nn.Module, grain: Grain, seed: int = 0) -> Selection:
    """Any half of a layer's synapse vectors."""
    count = by_vector(layer.weight, grain).shape[1]
    retained = np.sort(np.random.default_rng(seed).permutation(count)[: (count + 1) // 2])
    who = np.full(count, retained[0])
    who[retained] = retained
    return Selection(0.5, retained, who, np.ones(count))


def zeroed(layer: nn.Module, grain: Grain, selection: Selection) -> nn.Module:
    found = copy.deepcopy(layer)
    with torch.no_grad():
        by_vector(found.weight, grain)[:, torch.from_numpy(selection.removed)] = 0
    return found


def close(left: torch.Tensor, right: torch.Tensor) -> bool:
    return left.shape == right.shape and left.dtype == right.dtype and torch.allclose(left, right, atol=1e-5)


@pytest.mark.parametrize("grain", [Grain.COLUMN, Grain.CHANNEL])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_slim_convolution_is_the_dense_one_with_zeroed_weights(name, grain):
    dense = CONVOLUTIONS[name]
    inputs = torch.randn(3, 6, 11, 9, dtype=dense.weight.dtype)
    selection = half(dense, grain)

    (changed,) = slim(nn.Sequential(dense), {"0": Removal(grain, selection, Transform.TRUNCATE)})

    assert close(changed(inputs), zeroed(dense, grain, selection)(inputs))
    assert close(changed(inputs[0]), changed(inputs)[0])
    assert close(changed(inputs.contiguous(memory_format=torch.channels_last)), changed(inputs))


@pytest.mark.parametrize("shape", [(7,), (4, 7), (2, 3, 7)])
def test_a_slim_linear_layer_is_the_dense_one_with_zeroed_weights(shape):
    dense = nn.Linear(7, 4)
    selection = half(dense, Grain.FEATURE)

    (changed,) = slim(nn.Sequential(dense), {"0": Removal(Grain.FEATURE, selection, Transform.TRUNCATE)})

    inputs = torch.randn(shape)
    assert close(changed(inputs), zeroed(dense, Grain.FEATURE, selection)(inputs))


def test_channels_that_wrap_around_their_border_stay_possible_at_the_channel_grain_alone():
    dense = nn.Conv2d(6, 5, 3, padding=1, padding_mode="circular")
    network, inputs = nn.Sequential(dense), torch.randn(2, 6, 8, 8)
    selection = half(dense, Grain.CHANNEL)

    changed = slim(network, {"0": Removal(Grain.CHANNEL, selection, Transform.TRUNCATE)})

    assert close(changed(inputs), zeroed(dense, Grain.CHANNEL, selection)(inputs))
    with pytest.raises(UsageError, match="padding by circular"):
        slim(network, {"0": Removal(Grain.COLUMN, half(dense, Grain.COLUMN))})


class Small(nn.Module):
    """A convolution of each grain, a linear layer, a name with a dot."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
        self.last = nn.Linear(8 * 4 * 4, 5)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.last(self.features(inputs).flatten(1))


GRAINS = {"features.0": Grain.COLUMN, "features.2": Grain.CHANNEL, "last": Grain.FEATURE}


def removals(network: nn.Module, transform: Transform = Transform.FOLD) -> dict[str, Removal]:
    inputs = sample_inputs(network, torch.randn(6, 20, 3, 6, 6), GRAINS, rows=300)
    found = {}
    for name, grain in GRAINS.items():
        vectors = by_vector(network.get_submodule(name).weight, grain)
        selection = search_count(VectorCorrelation(flat(inputs[name])), vectors.shape[1] // 2)
        found[name] = Removal(grain, selection, transform, inputs[name])
    return found


@pytest.mark.parametrize("transform", list(Transform))
def test_compiled_whole_it_gives_the_same(transform):
    network = Small().eval()
    changed = slim(network, removals(network, transform))
    compiled = torch.compile(changed, backend="aot_eager", fullgraph=True)

    with torch.no_grad():
        for batch in (4, 9):
            inputs = torch.randn(batch, 3, 6, 6)
            assert close(compiled(inputs), changed(inputs))


@pytest.mark.long
def test_compiled_to_machine_code_it_gives_the_same():
    network = Small().eval()
    changed = slim(network, removals(network))
    inputs = torch.randn(4, 3, 6, 6)

    with torch.no_grad():
        assert close(torch.compile(changed, fullgraph=True)(inputs), changed(inputs))


def test_the_network_itself_stays_and_the_slim_one_can_be_trained():
    network = Small()
    before = copy.deepcopy(network.state_dict())
    changed = slim(network, removals(network))

    changed(torch.randn(2, 3, 6, 6)).sum().backward()

    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())
    assert all(each.grad is not None for each in changed.parameters())
    assert network.training
    assert changed.last.training
    assert sum(each.numel() for each in changed.parameters()) < 0.6 * sum(each.numel() for each in network.parameters())


def test_copied_channels_go_without_a_trace():
    network = Small().eval()
    with torch.no_grad():
        for place in (network.features[0].weight, network.features[0].bias):
            place[4:] = place[:4]
    inputs = sample_inputs(network, torch.randn(6, 20, 3, 6, 6), GRAINS, rows=300)["features.2"]
    selection = search(VectorCorrelation(flat(inputs)), 0.999)
    assert len(selection.retained) <= 4

    changed = slim(network, {"features.2": Removal(Grain.CHANNEL, selection, Transform.FOLD, inputs)})

    batch = torch.randn(5, 3, 6, 6)
    assert isinstance(changed.features[2], SlimChannels)
    assert close(changed(batch), network(batch))


def test_a_layer_without_bias_gets_one_where_folding_needs_it():
    network = nn.Sequential(nn.Linear(2, 3, bias=False))
    inputs = np.stack([np.arange(10.0), np.arange(10.0) + 5], axis=1)[:, :, None].astype(np.float32)
    selection = Selection(0.5, np.array([0]), np.array([0, 0]), np.ones(2))

    changed = slim(network, {"0": Removal(Grain.FEATURE, selection, Transform.FOLD, inputs)})

    batch = torch.from_numpy(inputs[:, :, 0])
    assert torch.allclose(changed(batch), network(batch), atol=1e-4)


def test_sampled_rows_are_what_the_layers_multiply():
    network = Small().train()
    batch = torch.randn(20, 3, 6, 6)
    rows = sample_inputs(network, [batch], GRAINS, rows=10_000)

    assert {name: found.shape for name, found in rows.items()} == {
        "features.0": (20 * 36, 27, 1),
        "features.2": (20 * 16, 8, 9),
        "last": (20, 128, 1),
    }
    assert network.training
    for name, grain in list(GRAINS.items())[:2]:
        layer = network.get_submodule(name)
        read = batch if name == "features.0" else network.features[:2](batch)
        product = np.einsum("nkp,mkp->nm", rows[name], by_vector(layer.weight.detach().numpy(), grain))
        expected = (layer(read) - layer.bias[:, None, None]).permute(0, 2, 3, 1).reshape(len(product), -1)
        assert np.allclose(product, expected.detach().numpy(), atol=1e-4)


def test_a_sample_is_bounded_and_repeats_with_its_seed():
    network, batches = Small(), torch.randn(3, 20, 3, 6, 6)

    first = sample_inputs(network, batches, GRAINS, rows=15, seed=1)
    again = sample_inputs(network, batches, GRAINS, rows=15, seed=1)

    assert all(len(found) == 15 for found in first.values())
    assert all((found == again[name]).all() for name, found in first.items())


def test_a_layer_that_is_never_run_is_said():
    network = Small()
    network.unused = nn.Linear(3, 3)

    with pytest.raises(UsageError, match="unused read nothing"):
        sample_inputs(network, torch.randn(1, 2, 3, 6, 6), {"unused": Grain.FEATURE}, rows=5)


@pytest.mark.parametrize(
    ("name", "grain", "sentence"),
    [
        ("nowhere", Grain.FEATURE, "no layer 'nowhere'"),
        ("features.1", Grain.FEATURE, "is a ReLU"),
        ("features.0", Grain.FEATURE, "no feature grain"),
        ("last", Grain.COLUMN, "no column grain"),
    ],
)
def test_what_is_no_layer_of_that_grain_is_refused(name, grain, sentence):
    selection = Selection(0.5, np.array([0]), np.array([0, 0]), np.ones(2))

    with pytest.raises(UsageError, match=sentence):
        slim(Small(), {name: Removal(grain, selection)})


def test_layers_with_groups_or_without_any_vector_left_or_of_another_size_are_refused():
    grouped = nn.Sequential(nn.Conv2d(4, 4, 3, groups=2))
    with pytest.raises(UsageError, match="2 groups"):
        slim(grouped, {"0": Removal(Grain.COLUMN, half(grouped[0], Grain.COLUMN))})
    none = Selection(0.5, np.array([], np.intp), np.full(128, -1), np.zeros(128))
    with pytest.raises(UsageError, match="lose all"):
        slim(Small(), {"last": Removal(Grain.FEATURE, none)})
    with pytest.raises(UsageError, match="plan is for 2"):
        slim(Small(), {"last": Removal(Grain.FEATURE, Selection(0.5, np.array([0]), np.array([0, 0]), np.ones(2)))})


@pytest.mark.filterwarnings("ignore")
def test_all_grains_go_through_onnx(tmp_path):
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    network = Small().eval()
    changed = slim(network, removals(network))
    inputs = torch.randn(2, 3, 6, 6)

    torch.onnx.export(changed, (inputs,), tmp_path / "slim.onnx", dynamo=False, input_names=["inputs"])
    (outputs,) = ReferenceEvaluator(onnx.load(tmp_path / "slim.onnx")).run(None, {"inputs": inputs.numpy()})

    assert close(torch.from_numpy(outputs), changed(inputs))
