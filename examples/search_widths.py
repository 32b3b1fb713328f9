"""A small architecture search over the widths that fit: an evolution on the predicted table, no GPU and no training.

The space is discrete: per width group the few widths worth having on this GPU (section 4.4 of the tail-effect paper).
The fitness here is a stand-in, parameters on a logarithmic scale, that shows where your own training or a proxy goes.

    python examples/search_widths.py
"""

from __future__ import annotations

import math
import random

import torch
from torch import nn

import headroom as hr

BUDGET_SHARE = 0.8
GENERATIONS, POPULATION, PARENTS = 30, 24, 6

Widths = dict[str, int]


def network() -> nn.Module:
    """Six convolutions, as somebody drew them."""
    layers: list[nn.Module] = []
    before = 3
    for number, width in enumerate((48, 48, 96, 96, 160, 160)):
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        if number in (1, 3):
            layers.append(nn.MaxPool2d(2))
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10))


def fitness(space, widths: Widths) -> float:
    """Put the accuracy of a short training here; more parameters stand in for it."""
    return math.log(space.problem.total_parameters(space.full(widths)))


def mutated(space, widths: Widths, rng: random.Random) -> Widths:
    """One or two groups take another of their candidates."""
    names = rng.sample(sorted(space.candidates), k=rng.choice((1, 2)))
    return {**widths, **{name: rng.choice(space.candidates[name]) for name in names}}


def evolve(space, budget_us: float, rng: random.Random) -> Widths:
    """The fittest widths that stay within the budget; a network over it lives by how little it is over."""

    def rank(widths: Widths) -> tuple[float, float]:
        over_us = max(0.0, space.time_us(widths) - budget_us)
        return (-over_us, fitness(space, widths) if not over_us else 0.0)

    population = [{name: rng.choice(widths) for name, widths in space.candidates.items()} for _ in range(POPULATION)]
    for _ in range(GENERATIONS):
        parents = sorted(population, key=rank, reverse=True)[:PARENTS]
        population = parents + [mutated(space, rng.choice(parents), rng) for _ in range(POPULATION - PARENTS)]
    return max(population, key=rank)


def main() -> None:
    torch.manual_seed(0)
    module = network().eval()
    space = hr.width_space(module, "h200", example_inputs=torch.zeros(1, 3, 32, 32), batch=128, source="predicted")
    for name, widths in space.candidates.items():
        print(f"{name}: {', '.join(map(str, widths))}")
    budget_us = BUDGET_SHARE * space.time_us({})
    best = evolve(space, budget_us, random.Random(0))
    print(f"as drawn: {space.time_us({}):.0f} us, {space.problem.total_parameters(space.present):,} parameters")
    print(f"found:    {space.time_us(best):.0f} us, {space.problem.total_parameters(space.full(best)):,} parameters")
    print(f"widths: {best}")


if __name__ == "__main__":
    main()
