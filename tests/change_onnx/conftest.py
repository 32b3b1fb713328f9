"""Networks of the width groups' zoo, exported once per session."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The path of a network's ONNX file, random weights inside, by the network's name."""
    import torch

    from change_groups import zoo

    folder = tmp_path_factory.mktemp("onnx")

    def export(name: str) -> Path:
        path = folder / f"{name}.onnx"
        if not path.exists():
            with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.manual_seed(2)
                module, inputs = getattr(zoo, name)()
                for layer in module.modules():
                    if isinstance(layer, torch.nn.BatchNorm2d):
                        layer.running_mean.normal_()
                        layer.running_var.uniform_(0.5, 1.5)
                torch.onnx.export(
                    module.eval(), inputs, path, dynamo=False, opset_version=17, do_constant_folding=False,
                    training=torch.onnx.TrainingMode.PRESERVE,
                )  # fmt: skip
        return path

    return export
