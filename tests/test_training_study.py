"""The study that trains: networks at other widths, jobs that go on after a kill, and what is brought back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from headroom.change.widths.groups import Growth
from trained_networks import NETWORKS
from training_study.shapes import Shape, apart, transferred

HRANK = {"vgg16": "vgg16-hrank", "resnet56": "resnet56-hrank"}


def drawn(module: nn.Module) -> nn.Module:
    """Random weights and statistics, so that no zero makes things equal by accident."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, each in module.state_dict().items():
            if each.is_floating_point():
                scale = 1 if each.ndim < 2 else (2 / each[0].numel()) ** 0.5
                each.copy_(torch.randn(each.shape, generator=random) * scale)
            if name.endswith("running_var"):
                each.abs_().add_(0.5)
    return module.eval()


IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("growth", [Growth.ZERO, Growth.FRESH])
@pytest.mark.parametrize(
    ("name", "wider"),
    [
        ("vgg16-hrank", Shape((48, 64, 72, 96, 144, 160, 160, 128, 128, 128, 128, 128, 512))),
        ("resnet56", Shape((24,) * 9 + (40,) * 9 + (64,) * 9, (16, 16, 32, 64))),
    ],
)
def test_a_wider_network_computes_what_the_narrower_one_did(name: str, wider: Shape, growth: Growth) -> None:
    network = drawn(NETWORKS[name].build())
    found = transferred(network, wider, {}, growth)
    assert Shape.of(found) == wider
    assert apart(network, found, IMAGES) < 1e-6


@pytest.mark.parametrize("streams", [(16, 13, 27, 64), (16, 13, 32, 72), (16, 16, 32, 72), (16, 24, 48, 96)])
def test_residual_streams_are_padded_with_zeros_where_their_shortcuts_expect_them(streams: tuple[int, ...]) -> None:
    network = drawn(NETWORKS["resnet56-hrank"].build())
    found = transferred(network, Shape((16,) * 9 + (24,) * 9 + (40,) * 9, streams), {}, Growth.ZERO)
    assert apart(network, found, IMAGES) < 1e-6


def test_where_shortcuts_leave_no_room_the_difference_shows() -> None:
    network = drawn(NETWORKS["resnet56-hrank"].build())
    found = transferred(network, Shape((16,) * 9 + (24,) * 9 + (40,) * 9, (16, 16, 32, 64)), {}, Growth.ZERO)
    assert apart(network, found, IMAGES) > 1e-6


@pytest.mark.parametrize("name", ["vgg16", "resnet56"])
def test_a_narrower_network_keeps_the_channels_of_largest_scores(name: str) -> None:
    random = np.random.default_rng(1)
    network = NETWORKS[name].build()
    target = Shape.of(NETWORKS[HRANK[name]].build())
    scores = {
        place: random.permutation(each.num_features).astype(float)
        for place, each in network.named_modules()
        if isinstance(each, nn.BatchNorm2d)
    }
    found = transferred(network, target, scores)
    assert Shape.of(found) == target
    first = "features.0" if name == "vgg16" else "blocks.5.conv1"
    score = scores["features.1" if name == "vgg16" else "blocks.5.bn1"]
    kept = found.get_submodule(first).weight
    best = np.sort(np.argsort(-score)[: len(kept)])
    own = network.get_submodule(first).weight[torch.from_numpy(best)]
    assert torch.equal(kept, own if name == "vgg16" else own[:, _kept_of_the_first_stage(scores)])


def _kept_of_the_first_stage(scores: dict[str, np.ndarray]) -> torch.Tensor:
    total = sum(scores[f"blocks.{index}.bn2"] for index in range(9))
    return torch.from_numpy(np.sort(np.argsort(-total)[:13]))
