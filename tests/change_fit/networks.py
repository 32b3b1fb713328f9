"""Small networks with widths that stand badly, at addresses that a command can be given."""

from __future__ import annotations

import torch
from torch import Tensor, nn

Model = tuple[nn.Module, Tensor]


class Plain(nn.Module):
    """Three convolutions with BatchNorm and a classifier: widths as pruning leaves them."""

    def __init__(self, widths: tuple[int, int, int] = (35, 70, 45)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in widths:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        self.features = nn.Sequential(*layers, nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(before, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Residual(nn.Module):
    """Two convolutions beside a shortcut: what they add to moves with them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 30, 3, padding=1)
        self.first, self.second = nn.Conv2d(30, 21, 3, padding=1), nn.Conv2d(21, 30, 3, padding=1)
        self.head = nn.Linear(30, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.second(torch.relu(self.first(x))))
        return self.head(x.mean((2, 3)))


def _seeded(make: type[nn.Module], *arguments: object) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make(*arguments).eval(), torch.zeros(1, 3, 16, 16)


def plain() -> Model:
    return _seeded(Plain)


def full() -> Model:
    """What ``plain`` may have been pruned from."""
    return _seeded(Plain, (40, 72, 48))


def even() -> Model:
    """Nothing to gain by widening."""
    return _seeded(Plain, (64, 64, 64))


class Twice(nn.Module):
    """A convolution that runs twice with the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.again = nn.Conv2d(3, 30, 3, padding=1), nn.Conv2d(30, 30, 3, padding=1)
        self.head = nn.Linear(30, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.again(torch.relu(self.again(self.stem(x))))).mean((2, 3)))


def twice() -> Model:
    return _seeded(Twice)


def single() -> Model:
    """One layer: both its widths are the caller's."""
    return nn.Conv2d(3, 30, 3).eval(), torch.zeros(1, 3, 16, 16)


def residual() -> Model:
    return _seeded(Residual)


def scaled(module: nn.Module) -> float:
    """Stands in for training: the head doubles."""
    with torch.no_grad():
        module.head.weight.mul_(2)
    return 91.5


def images() -> tuple[list[tuple[Tensor, Tensor]], list[tuple[Tensor, Tensor]]]:
    """A batch to train and one to test."""
    random = torch.Generator().manual_seed(0)
    batch = (torch.randn(4, 3, 16, 16, generator=random), torch.arange(4))
    return [batch], [batch]


def failing(module: nn.Module) -> None:
    raise RuntimeError("no data")
