"""Networks that lose synapse vectors: a copy whose named layers are slim ones. Importing it loads PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from headroom.change.synapses.modules import SlimChannels, SlimConv2d, SlimLinear, smaller_conv, zeros_around
from headroom.change.synapses.plan import LayerPlan
from headroom.change.synapses.reorder import reorder
from headroom.change.synapses.search import Selection
from headroom.change.synapses.transform import Transform, transformed
from headroom.change.synapses.units import as_numpy
from headroom.change.synapses.vectors import Floats, Grain, by_vector
from headroom.errors import UsageError


@dataclass(frozen=True, eq=False)
class Removal:
    """What one layer loses, and how the rest makes up for it.

    Attributes:
        grain: what a synapse vector of the layer is.
        selection: who stays.
        transform: what becomes of those that go.
        inputs: (samples, K, P) of what the layer reads, where the transform uses it.
    """

    grain: Grain
    selection: Selection
    transform: Transform = Transform.FOLD
    inputs: Floats | None = None


def slim(network: nn.Module, removals: Mapping[str, Removal]) -> nn.Module:
    """A copy of the network without those synapse vectors; the network itself stays as it is.

    Raises:
        UsageError: a name is no linear layer or convolution of the network, or its grain or groups do not fit.
    """
    changed = copy.deepcopy(network)
    for name, removal in removals.items():
        put(changed, name, _slim_layer(name, layer_of(network, name), removal))
    return changed


def layer_of(network: nn.Module, name: str) -> nn.Linear | nn.Conv2d:
    """The layer of that name.

    Raises:
        UsageError: there is none that can lose synapse vectors.
    """
    try:
        layer = network.get_submodule(name)
    except AttributeError as error:
        raise UsageError(f"the network has no layer {name!r}; see its named_modules()") from error
    if type(layer) not in (nn.Linear, nn.Conv2d):
        kind = type(layer).__name__
        raise UsageError(f"{name} is a {kind}; only Linear and Conv2d layers can lose synapse vectors")
    if isinstance(layer, nn.Conv2d) and layer.groups != 1:
        raise UsageError(f"{name} has {layer.groups} groups, each with synapse vectors of its own; leave it dense")
    found: nn.Linear | nn.Conv2d = layer
    return found


def put(network: nn.Module, name: str, layer: nn.Module) -> None:
    """Put ``layer`` in the place of that name."""
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, layer)


def empty_slim(dense: nn.Linear | nn.Conv2d, plan: LayerPlan) -> SlimLinear | SlimConv2d | SlimChannels:
    """A slim layer for ``dense`` of the planned size; its weights and its table are still to be set.

    Raises:
        UsageError: the plan's grain or counts are not those of such a layer.
    """
    vectors = by_vector(dense.weight, plan.grain).shape[1]
    if vectors != plan.count:
        raise UsageError(f"the plan is for {plan.count} synapse vectors, the layer has {vectors}; search again")
    bias = dense.bias is not None
    made: SlimLinear | SlimConv2d | SlimChannels
    if isinstance(dense, nn.Linear):
        made = SlimLinear(dense.in_features, plan.retained, dense.out_features, bias=bias)
    elif plan.grain is Grain.CHANNEL:
        made = SlimChannels(dense.in_channels, smaller_conv(dense, plan.retained))
    else:
        places = {"stride": dense.stride, "padding": zeros_around(dense), "dilation": dense.dilation}
        made = SlimConv2d(tuple(dense.weight.shape), plan.retained, bias=bias, **places)
    made.to(device=dense.weight.device, dtype=dense.weight.dtype)
    made.train(dense.training)
    return made


def _slim_layer(name: str, dense: nn.Linear | nn.Conv2d, removal: Removal) -> nn.Module:
    selection = removal.selection
    if not len(selection.retained):
        raise UsageError(f"{name} would lose all its synapse vectors; keep one at least")
    made = empty_slim(dense, LayerPlan(removal.grain, selection.alpha, selection.count, len(selection.retained)))
    weight = by_vector(as_numpy(dense.weight), removal.grain)
    reduced = transformed(removal.transform, weight, selection, removal.inputs)
    # The paper's order: what stays at its place need not be moved by whoever reorders inputs in place.
    order = reorder(selection.retained, selection.count).retained
    found = reduced.weight[:, np.searchsorted(selection.retained, order)]
    holder = made.conv if isinstance(made, SlimChannels) else made
    with torch.no_grad():
        made.retained.copy_(torch.from_numpy(order))
        holder.weight.copy_(torch.from_numpy(np.ascontiguousarray(found)).view(holder.weight.shape))
        if dense.bias is not None:
            holder.bias.copy_(dense.bias + torch.from_numpy(reduced.shift).to(dense.bias))
        elif reduced.shift.any():
            holder.bias = nn.Parameter(torch.from_numpy(reduced.shift).to(dense.weight))
    return made
