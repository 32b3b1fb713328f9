"""A change of widths goes to disk and comes back into a module of the user's own making."""

from __future__ import annotations

import json
import os
import pickle

import pytest
import torch

from change_groups import zoo
from headroom.change.widths.groups import load_widths, save_widths, set_widths
from headroom.errors import ModelError, UsageError

SAVED = ("hrank_resnet20", "shufflenet_v1", "vit", "bert", "resnext", "densenet")


def changed(found, name):
    module, inputs, groups = found(name)
    widths = {group.name: group.width + 2 * group.unit for group in groups.free}
    return module, set_widths(module, inputs, groups, widths), widths


@pytest.mark.parametrize("name", SAVED)
def test_a_fresh_module_takes_the_saved_widths_and_weights(found, tmp_path, name):
    module, wider, widths = changed(found, name)
    save_widths(tmp_path, module, wider, widths)
    fresh, inputs = getattr(zoo, name)()

    loaded = load_widths(fresh, tmp_path).eval()

    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in wider.state_dict().items())
    assert torch.equal(loaded(*inputs), wider(*inputs))
    assert json.loads((tmp_path / "widths.json").read_text())["groups"] == widths


def test_the_specification_holds_only_what_differs(found, tmp_path):
    module, inputs, groups = found("vgg")
    wider = set_widths(module, inputs, groups, {"0.0": 16})

    path, _ = save_widths(tmp_path, module, wider, {"0.0": 16})

    found = json.loads(path.read_text())
    assert found["attributes"] == {
        "0.0": {"out_channels": 16},
        "0.1": {"num_features": 16},
        "1.0": {"in_channels": 16},
    }
    assert found["tensors"]["1.0.weight"] == [8, 16, 3, 3]


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_weights_that_would_run_code_are_refused(found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module, wider, widths = changed(found, "resnext")
    save_widths(tmp_path, module, wider, widths)
    (tmp_path / "weights.pt").write_bytes(pickle.dumps({"0.0.weight": Bomb()}, protocol=2))

    with pytest.raises(ModelError, match="cannot read"):
        load_widths(zoo.resnext()[0], tmp_path)

    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "no width specification of version 1"),
        ({"version": 2}, "no width specification of version 1"),
        ({"tensors": {"0.0.weight": [16, 3, 3]}}, "0.0.weight cannot be"),
        ({"tensors": {"0.0.weight": [1 << 40, 3, 3, 3]}}, "0.0.weight cannot be"),
        ({"tensors": {"strange": [3]}}, "strange cannot be"),
        ({"tensors": {"0.0.weight": 16}}, "0.0.weight cannot be"),
        ({"tensors": []}, "has no tensors"),
        ({"attributes": {"strange": {"groups": 3}}}, "names the module 'strange'"),
        ({"attributes": {"0.0": {"forward": 3}}}, "sets 0.0.forward"),
        ({"attributes": {"0.0": {"out_channels": "3"}}}, "sets 0.0.out_channels"),
        ({"attributes": {}, "tensors": {}}, "do not fit"),
    ],
)
def test_a_damaged_specification_is_refused_with_the_place(found, tmp_path, change, message):
    module, wider, widths = changed(found, "resnext")
    path, _ = save_widths(tmp_path, module, wider, widths)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))

    with pytest.raises(ModelError, match=message):
        load_widths(zoo.resnext()[0], tmp_path)


@pytest.mark.parametrize(("weights", "message"), [([1.0], "is no state dict"), ({}, "cannot be")])
def test_weights_that_are_not_those_of_the_specification_are_refused(found, tmp_path, weights, message):
    module, wider, widths = changed(found, "resnext")
    _, path = save_widths(tmp_path, module, wider, widths)
    torch.save(weights, path)

    with pytest.raises(ModelError, match=message):
        load_widths(zoo.resnext()[0], tmp_path)


def test_missing_files_and_folders_are_said(found, tmp_path):
    module, wider, widths = changed(found, "resnext")

    with pytest.raises(ModelError, match=r"cannot read .*widths\.json"):
        load_widths(zoo.resnext()[0], tmp_path)
    with pytest.raises(UsageError, match="cannot write"):
        save_widths(tmp_path / "absent", module, wider, widths)
