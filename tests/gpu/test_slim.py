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


@pytest.mark.usefixtures("a_free_gpu")
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


@pytest.mark.parametrize(("dtype", "most"), [("fp32", 1e-4), ("bf16", 3e-2)])
def test_kernels_of_ours_take_over_columns_and_give_the_same_in_a_cuda_graph(dtype: str, most: float) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a PyTorch with CUDA")
    from headroom.change.synapses.kernels.layers import GatheredLayer
    from headroom.change.synapses.kernels.swap import use_kernels
    from headroom.change.synapses.planning.stand_ins import stand_in
    from headroom.measure.networks.device import Gpu

    generator = torch.Generator().manual_seed(0)
    made = torch.nn.Sequential(stand_in(torch.nn.Conv2d(64, 128, 3, padding=1), Grain.COLUMN, 288, gathers=True))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 17)
    made = made.cuda().to(torch.bfloat16 if dtype == "bf16" else torch.float32)
    inputs = torch.randn(32, 64, 28, 28, generator=generator).to(made[0].weight)
    with torch.inference_mode():
        expected = made(inputs)
        # A gather through memory and a product take longer than an implicit GEMM that does both at once.
        assert set(use_kernels(made, inputs)) == {"0"}
        assert isinstance(made[0], GatheredLayer)
        Gpu().captured(lambda: made(inputs))()
        assert float((made(inputs) - expected).abs().max()) <= most * float(expected.abs().max())


@pytest.mark.usefixtures("a_free_gpu")
def test_measured_columns_are_those_of_our_kernels(target: str) -> None:
    found = hr.slim(target, gpu=this_gpu(), batch=32, dtype="fp32", measure=True, max_loss=1e9, correlate="weights")
    assert any(way.grain is Grain.COLUMN for layer in found.study.layers for way in layer.ways)


def this_gpu() -> Any:
    from headroom.gpu.detect import detect_gpu

    return detect_gpu()
