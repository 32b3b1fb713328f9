"""Networks of :mod:`measure_networks.small` as files; everything here needs PyTorch."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]

Export = Callable[[str], Path]


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The ONNX file of a small network with its weights, batch normalisations kept apart."""
    import torch

    from measure_networks.small import NETWORKS

    folder = tmp_path_factory.mktemp("onnx")

    def exported(name: str) -> Path:
        path = folder / f"{name}.onnx"
        if not path.exists():
            torch.manual_seed(0)
            module, inputs = NETWORKS[name]()
            keep = torch.onnx.TrainingMode.PRESERVE
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.onnx.export(module, inputs, str(path), dynamo=False, training=keep, do_constant_folding=True)
        return path

    return exported
