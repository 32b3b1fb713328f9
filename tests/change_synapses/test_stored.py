"""A slim network goes to disk and comes back into a network of the user's own making."""

from __future__ import annotations

import json
import os
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from headroom.change.synapses import Grain, LayerPlan, Selection, SynapsePlan
from headroom.change.synapses.slim import Removal, slim
from headroom.change.synapses.stored import load_slim, save_slim
from headroom.errors import ModelError, UsageError

GRAINS = {"0": Grain.COLUMN, "2": Grain.CHANNEL, "5": Grain.FEATURE}
COUNTS = {"0": 27, "2": 8, "5": 128}
PLAN = SynapsePlan({name: LayerPlan(grain, 0.5, COUNTS[name], COUNTS[name] // 2) for name, grain in GRAINS.items()})


def network() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, bias=False), nn.ReLU(), nn.Flatten()),
        nn.Linear(128, 5),
    )


def selection(count: int) -> Selection:
    retained = np.arange(count)[-(count // 2) :]
    who = np.full(count, retained[0])
    who[retained] = retained
    return Selection(0.5, retained, who, np.full(count, 0.7))


@pytest.fixture
def saved(tmp_path):
    sample = np.abs(np.random.default_rng(0).standard_normal((50, 8, 9))).astype(np.float32)
    removals = {name: Removal(grain, selection(COUNTS[name])) for name, grain in GRAINS.items()}
    # A sample gives the convolution without bias one.
    removals["2"] = Removal(Grain.CHANNEL, selection(8), inputs=sample)
    changed = slim(network(), removals).eval()
    save_slim(tmp_path, changed, PLAN)
    return changed, tmp_path


def test_a_fresh_network_becomes_the_saved_one(saved):
    changed, folder = saved
    inputs = torch.randn(4, 3, 6, 6)

    loaded = load_slim(network(), folder).eval()

    assert torch.equal(loaded(inputs), changed(inputs))
    assert json.loads((folder / "synapses.json").read_text())["layers"] == PLAN.to_dict()


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_weights_that_would_run_code_are_refused(saved, monkeypatch):
    _, folder = saved
    monkeypatch.chdir(folder)
    (folder / "weights.pt").write_bytes(pickle.dumps(Bomb()))

    with pytest.raises(ModelError, match="cannot read"):
        load_slim(network(), folder)
    assert not (folder / "exploded").exists()


@pytest.mark.parametrize("index", [-1, 128, 2**40])
def test_a_table_that_points_outside_the_inputs_is_refused(saved, index):
    changed, folder = saved
    weights = changed.state_dict()
    weights["5.retained"][3] = index
    torch.save(weights, folder / "weights.pt")

    with pytest.raises(ModelError, match="leaves its 128"):
        load_slim(network(), folder)


@pytest.mark.parametrize("damage", ["missing", "no table", "a list", "fewer"])
def test_weights_that_do_not_fit_are_refused(saved, damage):
    changed, folder = saved
    weights = changed.state_dict()
    if damage == "missing":
        (folder / "weights.pt").unlink()
    else:
        if damage == "no table":
            del weights["5.retained"]
        elif damage == "fewer":
            weights["5.weight"] = weights["5.weight"][:, 1:]
        torch.save([1] if damage == "a list" else weights, folder / "weights.pt")

    with pytest.raises(ModelError):
        load_slim(network(), folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": "headroom-synapses", "version": 2, "layers": {}, "bias": []}',
        '{"format": "headroom-synapses", "version": 1, "layers": {}, "bias": 3}',
        '{"format": "headroom-synapses", "version": 1, "bias": []}',
        '{"format": "headroom-synapses", "version": 1, "layers": {}, "bias": []}',
    ],
)
def test_a_description_that_is_none_is_refused(saved, text):
    _, folder = saved
    (folder / "synapses.json").write_text(text)

    with pytest.raises(ModelError):
        load_slim(network(), folder)


def test_another_network_is_refused(saved):
    _, folder = saved

    with pytest.raises(ModelError, match="does not fit the network"):
        load_slim(nn.Sequential(nn.Linear(3, 3)), folder)


def test_a_folder_that_cannot_be_written_is_said(saved):
    changed, folder = saved

    with pytest.raises(UsageError, match="cannot write"):
        save_slim(folder / "nowhere", changed, PLAN)
