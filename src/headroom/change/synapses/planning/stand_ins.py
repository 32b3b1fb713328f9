"""Slim layers of a size, with any weights: what is timed before anyone has searched. Importing it loads PyTorch."""

from __future__ import annotations

from typing import Any

from torch import nn

from headroom.change.synapses.modules import SlimChannels
from headroom.change.synapses.plan import LayerPlan
from headroom.change.synapses.slim import empty_slim
from headroom.change.synapses.vectors import Grain, by_vector


def stand_in(dense: nn.Linear | nn.Conv2d, grain: Grain, retained: int, *, gathers: bool) -> nn.Module:
    """A slim layer like those of ``dense`` that keep so many vectors, spread over all.

    Args:
        gathers: whether it selects its inputs; an ordinary smaller layer otherwise.
    """
    vectors = by_vector(dense.weight, grain).shape[1]
    made = empty_slim(dense, LayerPlan(grain, 1.0, vectors, retained))
    # Kernels take as long for zeros as for weights; neighbours would be gathered faster than what a search leaves.
    made.retained.copy_((made.retained * vectors).div(retained, rounding_mode="floor"))
    if gathers:
        return made
    if isinstance(made, SlimChannels):
        return made.conv
    return nn.Linear(retained, dense.out_features, bias=dense.bias is not None)


def options_of(dense: nn.Linear | nn.Conv2d) -> dict[str, Any]:
    """What PyTorch's constructor made the layer with."""
    if isinstance(dense, nn.Linear):
        return {"in_features": dense.in_features, "out_features": dense.out_features, "bias": dense.bias is not None}
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    return {**{name: getattr(dense, name) for name in names}, "bias": dense.bias is not None}
