"""Networks without half of their synapse vectors, as the DeftNN paper chooses them and as we do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import nn

from headroom.change.synapses import (
    ContributionCorrelation,
    Grain,
    LayerPlan,
    Selection,
    SynapsePlan,
    Transform,
    VectorCorrelation,
    by_vector,
    flat,
    least_damage,
    search_count,
)
from headroom.change.synapses.sampling import sample_inputs
from headroom.change.synapses.slim import Removal, slim
from training_study.variants import Parent

#: Training images, and rows of each layer's inputs, that choices and compensation see; images of one batch, which
#: bounds the memory of its im2col matrices.
IMAGES, ROWS, TOGETHER = 4000, 8000, 100

#: Removal by least damage takes time as the cube of K; larger layers are searched by correlated contributions.
_MOST_BY_DAMAGE = 1024


@dataclass(frozen=True)
class Slimmed:
    """A network and the plan that it is saved with."""

    module: nn.Module
    plan: SynapsePlan


def slimmed(share: float, *, channels: bool = False, by_paper: bool = False) -> Callable[[Parent], Slimmed]:
    """Without ``share`` of each layer's synapse vectors; the first layer stays dense, as in the paper.

    Args:
        channels: whole input channels of convolutions, rather than im2col columns.
        by_paper: correlated weights, and scaling by K / (K - D); else least damage and weights solved for again.
    """

    def make(parent: Parent) -> Slimmed:
        layers = {n: each for n, each in parent.module.named_modules() if isinstance(each, (nn.Conv2d, nn.Linear))}
        grains = {name: _grain(layer, channels) for name, layer in list(layers.items())[1:]}
        seen = [part.cpu() for images, _ in parent.images.sample(IMAGES).epoch(0) for part in images.split(TOGETHER)]
        inputs = sample_inputs(parent.module, seen, grains, rows=ROWS, seed=parent.seed)
        removals, plan = {}, {}
        for name, grain in grains.items():
            weight = by_vector(layers[name].weight.detach().numpy(), grain)
            left = max(1, round(weight.shape[1] * (1 - share)))
            chosen = _chosen(weight, inputs[name], left, by_paper)
            transform = Transform.SCALE if by_paper else Transform.SOLVE
            removals[name] = Removal(grain, chosen, transform, None if by_paper else inputs[name])
            plan[name] = LayerPlan(grain, chosen.alpha, chosen.count, len(chosen.retained))
        return Slimmed(slim(parent.module, removals), SynapsePlan(plan))

    return make


def _grain(layer: nn.Conv2d | nn.Linear, channels: bool) -> Grain:
    if isinstance(layer, nn.Linear):
        return Grain.FEATURE
    return Grain.CHANNEL if channels else Grain.COLUMN


def _chosen(weight: np.ndarray, inputs: np.ndarray, left: int, by_paper: bool) -> Selection:
    if by_paper:
        return search_count(VectorCorrelation(flat(weight)), left)
    if weight.shape[1] * weight.shape[2] <= _MOST_BY_DAMAGE:
        return least_damage(weight, inputs, left)
    return search_count(ContributionCorrelation(flat(weight), flat(inputs)), left)
