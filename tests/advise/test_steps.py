"""Layers off their step: found where wider ones take less, named with the command, and not where nothing can move."""

from __future__ import annotations

import pytest

import headroom as hr

torch = pytest.importorskip("torch")


def steps(module, image, batch: int = 128, **options):
    graph = hr.load(module, image, batch=batch)
    analysis = hr.analyze(graph, "h200", **{"dtype": "bf16", "source": "predicted", **options})
    return [finding for finding in analysis.findings if finding.kind == "steps"]


def pruned(*widths: int):
    layers, before = [], 3
    for width in widths:
        layers += [torch.nn.Conv2d(before, width, 3, padding=1), torch.nn.BatchNorm2d(width), torch.nn.ReLU()]
        before = width
    return torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(before, 10))


def test_a_pruned_network_is_told_what_padding_saves_and_the_command_that_does_it() -> None:
    (found,) = steps(pruned(35, 35, 70), torch.zeros(1, 3, 32, 32))

    assert found.title.startswith("3 layers off their step: ")
    assert "headroom fit package.module:callable --gpu h200 --batch 128" in found.action
    assert found.speedup > 1.1
    assert found.error_pct < 100
    assert "3" in found.layers


def test_the_saving_is_no_more_than_fit_finds() -> None:
    """The finding rounds all widths alike; the solver chooses each."""
    module, image = pruned(35, 35, 70).eval(), torch.zeros(1, 3, 32, 32)

    (found,) = steps(module, image)
    plan = hr.fit(module, "h200", example_inputs=image, batch=128, dtype="bf16", source="predicted")

    assert 0 < found.saves_us <= plan.gain_us * 1.01


def test_widths_on_their_step_are_left_alone() -> None:
    assert steps(pruned(64, 64, 128), torch.zeros(1, 3, 32, 32)) == []


def test_what_a_norm_takes_its_mean_over_is_left_alone() -> None:
    """Channels that LayerNorm or the caller counts cannot be padded."""
    block = torch.nn.Sequential(torch.nn.LayerNorm(99), torch.nn.Linear(99, 99), torch.nn.LayerNorm(99))

    assert steps(block, torch.zeros(512, 99), batch=512) == []


def test_gradients_are_no_network_to_widen() -> None:
    graph = hr.load(pruned(35, 35, 70), torch.zeros(1, 3, 32, 32), batch=128)
    analysis = hr.analyze(graph, "h200", "bf16", source="predicted", direction="dgrad")

    assert not [finding for finding in analysis.findings if finding.kind == "steps"]
