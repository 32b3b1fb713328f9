"""Lossless growth on ONNX files: what moves, what is refused, what ONNX Runtime says."""

from __future__ import annotations

import importlib.util

import onnx
import pytest

from headroom.change.widths.onnx import grow_onnx, onnx_width_groups
from headroom.change.widths.onnx.compare import check_files
from headroom.errors import ModelError, UsageError

#: Groups that move in the exported file.
MOVABLE = {
    "resnet18": 10,
    "mobilenet_v2": 8,
    "efficientnet": 11,
    "squeezenet": 10,
    "resnext": 3,
    "unet": 4,
    "convnext": 3,
}

runtime = pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs ONNX Runtime")


@runtime
@pytest.mark.parametrize("name", MOVABLE)
def test_all_groups_of_a_file_grow_and_onnx_runtime_finds_the_same_function(exported, tmp_path, name):
    source, target = exported(name), tmp_path / "wider.onnx"
    before = source.read_bytes()
    groups = onnx_width_groups(source)
    widths = {group.name: group.width + 2 * group.unit for group in groups.free}

    grow_onnx(source, target, groups, widths)

    assert len(groups.free) == MOVABLE[name], [(group.name, group.frozen) for group in groups.groups]
    check_files(source, target)
    onnx.checker.check_model(onnx.load(target), full_check=True)
    assert source.read_bytes() == before
    again = onnx_width_groups(target)
    assert sorted(group.width for group in again.free) == sorted(widths.values())


@runtime
def test_weights_beside_the_model_are_read_and_stored_inside_the_new_file(exported, tmp_path):
    source = external(exported("squeezenet"), tmp_path, "weights.bin")
    groups = onnx_width_groups(source)
    group = groups.free[0]

    target = grow_onnx(source, tmp_path / "wider.onnx", groups, {group.name: group.width + 8})

    assert all(not each.external_data for each in onnx.load(target, load_external_data=False).graph.initializer)


def external(path, folder, location):
    model = onnx.load(path)
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, location=location, size_threshold=0)
    return folder / "model.onnx"


def relocated(path, **entries):
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key in entries:
            entry.value = entries[entry.key]
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "link.bin", "folder", ""])
def test_weights_outside_the_models_folder_are_never_opened(exported, tmp_path, location):
    folder = tmp_path / "model"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "secret.bin").write_bytes(bytes(1 << 20))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    source = relocated(external(exported("squeezenet"), folder, "weights.bin"), location=location)

    with pytest.raises(ModelError):
        onnx_width_groups(source)


@pytest.mark.parametrize("entries", [{"offset": "-8"}, {"offset": "99999999999"}, {"length": "3"}, {"length": "x"}])
def test_weights_that_do_not_fit_their_file_are_refused(exported, tmp_path, entries):
    source = relocated(external(exported("squeezenet"), tmp_path, "weights.bin"), **entries)

    with pytest.raises(ModelError):
        onnx_width_groups(source)


def test_a_file_never_loses_channels_nor_is_written_over(exported, tmp_path):
    source = exported("squeezenet")
    groups = onnx_width_groups(source)
    group = groups.free[0]

    with pytest.raises(UsageError, match="would lose some"):
        grow_onnx(source, tmp_path / "wider.onnx", groups, {group.name: group.width - 1})
    with pytest.raises(UsageError, match="is the input itself"):
        grow_onnx(source, source, groups, {group.name: group.width + 1})
    assert list(tmp_path.iterdir()) == []


@runtime
def test_a_file_that_computes_something_else_is_caught_and_not_kept(exported, tmp_path, monkeypatch):
    source = exported("squeezenet")
    groups = onnx_width_groups(source)
    group = groups.free[0]
    from headroom.change.widths.onnx import grow

    def spoiled(model, network):
        _write_back(model, network)
        model.graph.initializer[0].raw_data = bytes(reversed(model.graph.initializer[0].raw_data))

    _write_back = grow._write_back
    monkeypatch.setattr(grow, "_write_back", spoiled)

    with pytest.raises(ModelError, match="ONNX Runtime finds"):
        grow_onnx(source, tmp_path / "wider.onnx", groups, {group.name: group.width + 1})
    assert list(tmp_path.iterdir()) == []
