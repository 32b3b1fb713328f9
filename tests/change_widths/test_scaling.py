"""Width and resolution both free: the front of networks that take no longer than the original."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import headroom as hr
from headroom.change.widths.scaling import Scaled, at_equal_latency, scaled
from headroom.errors import UsageError


def build(width: float, resolution: int) -> tuple[nn.Module, torch.Tensor]:
    channels = round(8 * width)
    module = nn.Sequential(
        *(nn.Conv2d(3, channels, 3, 2, 1), nn.ReLU(), nn.Conv2d(channels, channels, 3, 1, 1)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)),
    )
    return module.eval(), torch.randn(1, 3, resolution, resolution)


def predicted(module: nn.Module, inputs: torch.Tensor, graph: hr.Graph) -> tuple[float, float]:
    bound = hr.analyze(graph, gpu="h200", dtype="bf16", source="predicted").bounds.sequential_us
    return bound.value if hasattr(bound, "value") else float(bound), 0.0


def test_a_launch_bound_network_grows_for_nothing() -> None:
    sizes = [(width, side) for width in (1.0, 2.0, 4.0) for side in (32, 48, 64)]
    points = scaled(build, hr.load, lambda module, inputs, graph: (100.0 + len(graph.layers), 0.0), sizes)
    front = at_equal_latency(points, points[0].time_us)
    assert (front[0].width, front[0].resolution) == (4.0, 64)
    assert len(front) == 1  # it has the most macs and the most parameters
    assert front[0].macs > 20 * points[0].macs
    assert front[0].flops_per_s / points[0].flops_per_s == pytest.approx(front[0].macs / points[0].macs)


def test_macs_and_parameters_are_those_of_the_network_that_was_built() -> None:
    (point,) = scaled(build, hr.load, predicted, [(2.0, 32)])
    assert point.macs == 16 * 3 * 9 * 256 + 16 * 16 * 9 * 256 + 160
    assert point.parameters == 16 * 27 + 16 + 16 * 16 * 9 + 16 + 170
    assert 0 < point.time_us < 100


def test_what_takes_longer_and_what_another_beats_is_not_on_the_front() -> None:
    points = [
        Scaled(1.0, 32, 100.0, macs=10, parameters=10),
        Scaled(1.0, 64, 100.9, macs=40, parameters=10),
        Scaled(2.0, 32, 100.0, macs=30, parameters=40),
        Scaled(2.0, 64, 101.1, macs=120, parameters=40),
        Scaled(1.5, 32, 99.0, macs=20, parameters=20),
    ]
    assert [(each.width, each.resolution) for each in at_equal_latency(points, 100.0)] == [(1.0, 64), (2.0, 32)]
    with pytest.raises(UsageError, match="no width and resolution takes at most 50 µs"):
        at_equal_latency(points, 50.0)
