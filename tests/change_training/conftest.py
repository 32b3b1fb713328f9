"""A task small enough to be learnt in a second: which quadrant of a noisy image is bright."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from headroom.change.training import TensorBatches


def quadrants(count: int, seed: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (count,), generator=random)
    images = torch.randint(0, 90, (count, 3, 8, 8), generator=random, dtype=torch.uint8)
    for index, label in enumerate(labels.tolist()):
        row, column = 4 * (label // 2), 4 * (label % 2)
        images[index, :, row : row + 4, column : column + 4] += 120
    return images, labels


def network() -> nn.Sequential:
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(0)
    made = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2)),
        *(nn.Flatten(), nn.Dropout(0.1), nn.Linear(32, 4)),
    )
    torch.random.set_rng_state(torch_state)
    return made


@pytest.fixture
def training() -> TensorBatches:
    return TensorBatches(*quadrants(256, 1), batch=64, mean=(0.3,) * 3, spread=(0.25,) * 3)


@pytest.fixture
def test_data() -> TensorBatches:
    return TensorBatches(*quadrants(100, 2), batch=64, shuffled=False, mean=(0.3,) * 3, spread=(0.25,) * 3)


@pytest.fixture
def fresh() -> nn.Sequential:
    return network()
