"""The settings of a training run, and the learning rate that follows from them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from headroom.errors import UsageError

PRECISIONS = ("auto", "bf16", "fp32")

#: What the learning rate is multiplied by, given the share of the run that is over (0 to 1).
Schedule = Callable[[float], float]


@dataclass(frozen=True)
class Recipe:
    """SGD with Nesterov momentum, whose rate rises linearly for ``warmup`` of the run and then falls along a cosine.

    Attributes:
        epochs: passes over the data.
        rate: the largest learning rate.
        weight_decay: of weights; scales and offsets of normalisations, and biases, have none.
        label_smoothing: share of each label that is spread over all classes.
        warmup: share of the run, 0 to 1.
        precision: ``bf16`` autocasts, ``auto`` does so on CUDA alone.
        compile: run the network through ``torch.compile``; worth its half minute from a hundred epochs on.
        seed: decides order, augmentation and dropout. The same seed on the same machine gives the same network, up to
            what kernels on a GPU add up in another order.
        schedule: another course of the rate, as a factor of ``rate`` by share of the run.

    Raises:
        UsageError: a setting out of its range.
    """

    epochs: int = 30
    rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    warmup: float = 0.05
    precision: str = "auto"
    compile: bool = False
    seed: int = 0
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise UsageError(f"{self.epochs} epochs: give 0 or more")
        if not (self.rate > 0 and math.isfinite(self.rate)):
            raise UsageError(f"a learning rate of {self.rate}: give a number above zero, such as 0.05")
        for name in ("momentum", "label_smoothing", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}: give a share from 0 to less than 1")
        if self.precision not in PRECISIONS:
            raise UsageError(f"unknown precision {self.precision!r}: choose {', '.join(PRECISIONS)}")

    def rate_at(self, share: float) -> float:
        """The learning rate once ``share`` of all steps are over.

        >>> recipe = Recipe(rate=0.1, warmup=0.5)
        >>> [round(recipe.rate_at(share), 3) for share in (0.25, 0.5, 0.75, 1.0)]
        [0.05, 0.1, 0.05, 0.0]
        """
        if self.schedule is not None:
            return self.rate * self.schedule(share)
        if share < self.warmup:
            return self.rate * share / self.warmup
        return self.rate * 0.5 * (1 + math.cos(math.pi * (share - self.warmup) / (1 - self.warmup)))
