"""What is trained: each network, and each variant of it, with its budget. Adding one is a line here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headroom.change.training import Recipe
from trained_networks import ENLARGED, NETWORKS, macs_and_parameters
from training_study.shapes import Shape
from training_study.slimming import slimmed
from training_study.variants import cut, fast_nas, masked, padded, torch_pruned, two_of_four

#: Widths that ``headroom fit`` chose for the pruned networks, by target and goal.
CHOSEN = Path(__file__).with_name("widths.json")

UNPRUNED = "unpruned"

#: Goals whose widths are in :data:`CHOSEN` and that are trained on.
FITTED = ("latency", "accuracy")


@dataclass(frozen=True)
class Budget:
    """Epochs and rates of a network: from the start, and of everything that is made of it."""

    epochs: int
    rate: float
    tuning_epochs: int
    tuning_rate: float
    batch: int = 512
    hole: int = 0
    weight_decay: float = 5e-4

    def recipe(self, tuning: bool, seed: int) -> Recipe:
        epochs, rate = (self.tuning_epochs, self.tuning_rate) if tuning else (self.epochs, self.rate)
        # Compiling takes longer than it saves in short runs.
        return Recipe(epochs, rate, weight_decay=self.weight_decay, seed=seed, compile=epochs >= _WORTH_COMPILING)


_WORTH_COMPILING = 100


def recipe_text(recipe: Recipe) -> str:
    """What a row says of how it was trained."""
    return f"{recipe.epochs} epochs, rate {recipe.rate}"


#: Of a batch of 128 CIFAR-10's usual rate is 0.1; larger batches take as much more.
BUDGETS = {
    "vgg16": Budget(200, 0.4, 40, 0.1, hole=12),
    "resnet56": Budget(160, 0.4, 25, 0.1),
    "resnet18": Budget(100, 0.4, 0, 0.1, hole=12),
    "resnet18-again": Budget(100, 0.4, 0, 0.1, hole=12),
    **{f"efficientnet-{width}-{side}": Budget(60, 0.2, 0, 0.1, weight_decay=1e-4) for width, side in ENLARGED},
    "cifarnet": Budget(120, 0.02, 40, 0.01, batch=128, weight_decay=1e-3),
    "alexnet-cifar": Budget(120, 0.02, 40, 0.01, batch=128),
    "lenet": Budget(40, 0.02, 20, 0.01, batch=128),
}

#: The pruned networks that are made of each network: what is fitted, and what other tools are asked to equal.
TARGETS = {
    "vgg16": ("vgg16-hrank",),
    "resnet56": ("resnet56-hrank", "resnet56-hrank-024", "resnet56-soft-1", "resnet56-soft-2"),
}

#: Networks that lose synapse vectors.
SLIMMED = ("lenet", "cifarnet", "alexnet-cifar", "vgg16")


@dataclass(frozen=True)
class Job:
    """One network to make and train. ``parent`` is the variant that it is made of; ``None`` starts from the seed."""

    network: str
    variant: str
    seed: int
    parent: str | None
    make: Callable[..., Any] | None
    recipe: Recipe | None
    keeps_zeros: bool = False

    @property
    def key(self) -> str:
        return f"{self.network}/{self.variant}/{self.seed}"

    @property
    def parent_key(self) -> str:
        return f"{self.network}/{self.parent}/{self.seed}"


def jobs(networks: tuple[str, ...], seed: int, chosen: Mapping[str, Any] | None = None) -> Iterator[Job]:
    """Every job of a seed, parents first."""
    chosen = chosen if chosen is not None else chosen_widths()
    for name in networks:
        budget = BUDGETS[name]
        yield Job(name, UNPRUNED, seed, None, None, budget.recipe(False, seed))
        for target in TARGETS.get(name, ()):
            yield from _of_target(name, target, seed, chosen.get(target, {}))
        if name in SLIMMED:
            yield from _slim(name, seed)


def _of_target(name: str, target: str, seed: int, chosen: Mapping[str, Any]) -> Iterator[Job]:
    tuned = BUDGETS[name].recipe(True, seed)
    network = NETWORKS[target].build()
    macs, _ = macs_and_parameters(network, NETWORKS[target].image)
    made = {"pruned": cut(Shape.of(network))}
    made |= {goal: cut(Shape.from_json(chosen[goal])) for goal in FITTED if goal in chosen}
    made["torch-pruning"] = torch_pruned(macs)
    made |= {f"torch-pruning-{multiple}": torch_pruned(macs, multiple) for multiple in (8, 32)}
    made["fastnas"] = fast_nas(macs)
    for variant, make in made.items():
        yield Job(name, f"{target}-{variant}", seed, UNPRUNED, make, tuned)
        if variant == "pruned" and "lossless" in chosen:
            same = padded(Shape.from_json(chosen["lossless"]))
            yield Job(name, f"{target}-lossless", seed, f"{target}-pruned", same, None)


def _slim(name: str, seed: int) -> Iterator[Job]:
    tuned = BUDGETS[name].recipe(True, seed)
    ways: dict[str, Callable[..., Any]] = {f"slim-{share}": slimmed(share / 100) for share in (30, 50, 70)}
    ways |= {"slim-channels-50": slimmed(0.5, channels=True), "slim-paper-50": slimmed(0.5, by_paper=True)}
    for variant, make in ways.items():
        yield Job(name, variant, seed, UNPRUNED, make, tuned)
    masks = {f"magnitude-{share}": masked(share / 100) for share in (50, 90, 97)}
    for variant, mask in {**masks, "two-of-four": two_of_four}.items():
        yield Job(name, variant, seed, UNPRUNED, mask, tuned, keeps_zeros=True)


def chosen_widths() -> dict[str, Any]:
    """What :data:`CHOSEN` holds; nothing where there is no such file yet."""
    return dict(json.loads(CHOSEN.read_text())) if CHOSEN.exists() else {}
