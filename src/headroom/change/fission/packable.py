"""Which layers of a network can be packed, where they stand, and why others cannot. Importing it loads PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from headroom.change.synapses.modules import SlimLinear

Layer: TypeAlias = nn.Linear | nn.Conv2d | SlimLinear


def packable(network: nn.Module) -> dict[str, Layer]:
    """Layers that can be packed, by name: linear ones, slim or not, and convolutions padded with zeros, if finite."""
    return {name: layer for name, layer in _multiplying(network) if obstacle(layer) is None}


def unpackable(network: nn.Module) -> dict[str, str]:
    """Linear layers and convolutions that cannot be packed, by name, and why."""
    found = {name: obstacle(layer) for name, layer in _multiplying(network)}
    return {name: reason for name, reason in found.items() if reason is not None}


def obstacle(layer: nn.Module) -> str | None:
    """Why the layer cannot be packed; ``None`` if it can."""
    if type(layer) not in (nn.Linear, nn.Conv2d, SlimLinear):
        return f"{type(layer).__name__} is no plain linear layer or 2-D convolution"
    if layer._forward_pre_hooks or layer._forward_hooks:
        return "it has forward hooks, which its packed twin would lack"
    if getattr(layer, "padding_mode", "zeros") != "zeros":
        return f"it is padded by {layer.padding_mode}"
    if not layer.weight.numel():
        return "it has no weights"
    if layer.weight.is_meta:
        return "its weight is on the meta device and holds no values"
    # In fp32, which is what is packed: an fp64 weight may be too large for it.
    return None if bool(torch.isfinite(layer.weight.float()).all()) else "its weight holds infinities or NaN"


def places_of(network: nn.Module, layers: Mapping[str, nn.Module]) -> dict[str, tuple[str, ...]]:
    """Every name of each layer: one that a network uses under two names is packed under both."""
    names: dict[int, list[str]] = {}
    for name, module in network.named_modules(remove_duplicate=False):
        names.setdefault(id(module), []).append(name)
    return {name: tuple(names[id(layer)]) for name, layer in layers.items()}


def put(network: nn.Module, places: Iterable[str], layer: nn.Module) -> nn.Module:
    """Put ``layer`` in these places; return the network, which is ``layer`` where the place is the network itself."""
    for place in places:
        if not place:
            return layer
        parent, _, last = place.rpartition(".")
        setattr(network.get_submodule(parent), last, layer)
    return network


def tied(network: nn.Module) -> set[int]:
    """Ids of parameters that several modules own: packing one of these leaves the dense weight with the others."""
    owners: dict[int, int] = {}
    for module in network.modules():
        for parameter in {id(each) for each in module._parameters.values() if each is not None}:
            owners[parameter] = owners.get(parameter, 0) + 1
    return {parameter for parameter, count in owners.items() if count > 1}


def _multiplying(network: nn.Module) -> list[tuple[str, Any]]:
    kinds = nn.Linear | _ConvNd | SlimLinear
    return [(name, module) for name, module in network.named_modules() if isinstance(module, kinds)]
