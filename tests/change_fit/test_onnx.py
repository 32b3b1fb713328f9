"""ONNX files: padded with zeros, file in, file out."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

import headroom as hr
from change_fit import networks


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "plain.onnx"
    module, image = networks.plain()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (image,), path, dynamo=False, opset_version=17, input_names=["x"], dynamic_axes={"x": {0: "batch"}}
        )
    return path


def test_a_file_becomes_a_wider_file_that_computes_the_same(file: Path, fitted, tmp_path: Path) -> None:
    plan = hr.fit(file, "h200", batch=128, source="predicted")
    module = fitted("plain")

    assert [move.before for move in plan.groups] == [move.before for move in module.groups]
    assert plan.after_us < plan.before_us
    written = plan.apply(tmp_path / "wider.onnx")

    assert written.paths == (tmp_path / "wider.onnx",)
    assert list(tmp_path.iterdir()) == [tmp_path / "wider.onnx"]
    graph = hr.load(tmp_path / "wider.onnx", batch=128)
    assert hr.analyze(graph, "h200", source="predicted").bounds.sequential_us == pytest.approx(plan.after_us, rel=0.01)


def test_only_padding_is_possible(file: Path) -> None:
    for goal, options in (("latency", {"saves": 0.1}), ("accuracy", {})):
        with pytest.raises(hr.UsageError, match="an ONNX file can only be padded with zeros"):
            hr.fit(file, "h200", goal=goal, source="predicted", **options)


def test_a_file_is_not_trained_on(file: Path, tmp_path: Path) -> None:
    plan = hr.fit(file, "h200", batch=128, source="predicted")

    with pytest.raises(hr.UsageError, match="an ONNX file is not trained on"):
        plan.apply(tmp_path / "wider.onnx", finetune="change_fit.networks:scaled")
    assert list(tmp_path.iterdir()) == []
