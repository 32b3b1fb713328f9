"""The weights of a slim layer by themselves, whatever network they go into. Importing it loads PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headroom.change.synapses.modules import SlimChannels
from headroom.change.synapses.slim import layer_of
from headroom.change.synapses.vectors import Grain, by_vector
from headroom.errors import ModelError


@dataclass(frozen=True, eq=False)
class Kept:
    """What a slim layer keeps: ``retained`` (K - D,) indices, ``weight`` (M, K - D, P) in their order, its bias."""

    retained: Tensor
    weight: Tensor
    bias: Tensor | None = None


def kept_of(layer: nn.Module) -> Kept:
    """The weights of a slim layer."""
    holder = layer.conv if isinstance(layer, SlimChannels) else layer
    weight = holder.weight.detach()
    bias = None if holder.bias is None else holder.bias.detach().clone()
    return Kept(layer.retained.clone(), weight.reshape(len(weight), len(layer.retained), -1).clone(), bias)


def with_zeros(network: nn.Module, kept: Mapping[str, tuple[Grain, Kept]]) -> nn.Module:
    """A copy of the dense network whose named layers have the kept weights, and zeros where vectors went.

    It is what a slim network has to equal.

    Raises:
        ModelError: the weights do not fit the network's layers.
    """
    found = copy.deepcopy(network).eval()
    for name, (grain, held) in kept.items():
        dense = layer_of(found, name)
        vectors = by_vector(dense.weight, grain)
        fits = held.weight.shape == (vectors.shape[0], len(held.retained), vectors.shape[2])
        inside = bool(((held.retained >= 0) & (held.retained < vectors.shape[1])).all())
        if not fits or not inside or not len(held.retained):
            raise ModelError(f"the stored weights of {name} are not of this network; make the frontier again")
        whole = torch.zeros(vectors.shape, dtype=dense.weight.dtype)
        whole[:, held.retained] = held.weight.to(dense.weight.dtype)
        with torch.no_grad():
            dense.weight.copy_(whole.reshape(dense.weight.shape))
            if held.bias is not None:
                dense.bias = nn.Parameter(held.bias.to(dense.weight.dtype).clone())
    return found
