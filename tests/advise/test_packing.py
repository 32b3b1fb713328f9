"""Packable layers: found where weights bound, named with the command, and never promised for sure."""

from __future__ import annotations

import pytest

import headroom as hr
from headroom.advise.packing import weight_bound
from headroom.graph.tensor import DataType

torch = pytest.importorskip("torch")


def network():
    return torch.nn.Sequential(torch.nn.Linear(9216, 4096), torch.nn.ReLU(), torch.nn.Linear(4096, 1000))


def packing(batch: int, **options):
    graph = hr.load(network(), torch.zeros(batch, 9216))
    analysis = hr.analyze(graph, "h200", source="predicted", **options)
    return [finding for finding in analysis.findings if finding.kind == "packing"]


def test_linear_layers_at_batch_one_are_packable_and_the_command_is_named() -> None:
    (found,) = packing(1, dtype="bf16", l2="cold")

    assert found.layers == ("0", "2")
    assert "headroom pack package.module:callable --gpu h200 --batch 1" in found.action
    assert found.speedup > 1.2
    assert 30 < found.error_pct < 100
    assert found.source.value == "predicted"


def test_wider_values_leave_more_to_save() -> None:
    (narrow,), (wide,) = (packing(1, dtype=dtype, l2="cold") for dtype in ("bf16", "fp32"))
    assert wide.saves_us > 2 * narrow.saves_us


def test_at_a_large_batch_nothing_is_packable() -> None:
    assert packing(64, dtype="bf16", l2="cold") == []


def test_convolutions_and_layers_without_weights_are_not_bound_by_them() -> None:
    convolution = torch.nn.Conv2d(64, 64, 3)
    (layer,) = hr.load(convolution, torch.zeros(1, 64, 32, 32)).layers
    assert weight_bound(layer, DataType.BF16) is None
