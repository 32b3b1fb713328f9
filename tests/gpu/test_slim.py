"""On a machine with a GPU: every way of a layer is measured, and a slim network is timed beside the dense one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headroom as hr
from headroom.change.synapses.vectors import Grain
from headroom.predict.prediction import Source

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("a_gpu")]

CODE = """
import torch
from torch import nn

def net():
    sizes = [3, 256, 512, 512]
    layers = [each for n, m in zip(sizes, sizes[1:]) for each in (nn.Conv2d(n, m, 3, padding=1), nn.ReLU())]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)]
        return nn.Sequential(*layers).eval(), torch.randn(1, 3, 16, 16)
"""


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a PyTorch with CUDA")
    (tmp_path / "gpu_slim_nets.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return "gpu_slim_nets:net"


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_ways_are_measured_and_half_the_channels_are_faster_in_fact(target: str, dtype: str, tmp_path: Path) -> None:
    found = hr.slim(target, gpu=this_gpu(), batch=128, dtype=dtype, measure=True, max_loss=1e9, correlate="weights")
    study = found.study
    assert all(way.source is Source.MEASURED for layer in study.layers for way in layer.ways)
    assert any(way.grain is Grain.CHANNEL for layer in study.layers for way in layer.ways)
    _, answer = found.apply(tmp_path / "out", measure=True)
    assert answer.applied is not None
    assert answer.applied.measured is not None
    assert answer.applied.measured.speedup > 1.2


def this_gpu() -> Any:
    from headroom.gpu.detect import detect_gpu

    return detect_gpu()
