"""What packing does to layers and to networks on a user's data. Importing it loads PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn import functional

from headroom.change.fission.modules import PackedConv2d, PackedLinear
from headroom.change.fission.packable import Layer, places_of, put
from headroom.change.fission.slim_layers import packed_twin
from headroom.change.synapses.modules import SlimLinear
from headroom.errors import ModelError, UsageError

#: Inputs that a layer's error is taken on: rows of a linear layer, images of a convolution.
_ROWS, _IMAGES = 512, 8

Twin: TypeAlias = PackedLinear | PackedConv2d


def called(network: nn.Module, batch: Any) -> Any:
    """The network's outputs on one batch: a tensor, a tuple of arguments, or a dict of named ones."""
    if isinstance(batch, Mapping):
        return network(**batch)
    return network(*batch) if isinstance(batch, tuple | list) else network(batch)


def inputs_of_layers(network: nn.Module, batches: Sequence[Any], names: Sequence[str]) -> dict[str, torch.Tensor]:
    """A sample of what each named layer reads: at most 512 rows, or 8 images. Layers that never run are absent, and
    those that are given no value but zero: they say nothing of what packing would change.
    """
    found: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    hooks = [_hooked(network.get_submodule(name), found[name]) for name in names]
    try:
        outputs_of(network, batches)
    finally:
        for hook in hooks:
            hook.remove()
    sampled = {name: _sampled(parts, network.get_submodule(name)) for name, parts in found.items() if parts}
    return {name: inputs for name, inputs in sampled.items() if bool(inputs.any())}


def outputs_of(network: nn.Module, batches: Sequence[Any], *, called_as: str = "the network") -> torch.Tensor:
    """All floating-point outputs on the batches, end to end in fp32.

    Args:
        called_as: what an error calls the network.

    Raises:
        ModelError: the network fails on a batch, or gives no numbers.
    """
    parts: list[torch.Tensor] = []
    with torch.no_grad():
        for batch in batches:
            try:
                outputs = called(network, batch)
            except Exception as error:
                reason = " ".join(str(error).split())[:200]
                raise ModelError(f"{called_as} fails on the calibration data: {reason}; give what it reads") from error
            parts += [each.float().flatten().cpu() for each in _tensors(outputs)]
    if not sum(len(part) for part in parts):
        raise ModelError(f"{called_as}'s outputs on the calibration data hold no floating-point number to compare")
    return torch.cat(parts)


def output_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """How far outputs moved, relative root mean square over what is finite; infinity if anything else moved.

    Raises:
        ModelError: nothing finite is wanted.
    """
    finite = torch.isfinite(wanted)
    if not bool(finite.any()):
        raise ModelError("the network's outputs on the calibration data hold no finite number; give other data")
    if found.shape != wanted.shape or not torch.equal(torch.isfinite(found), finite):
        return float("inf")
    return relative_norm(found[finite] - wanted[finite], wanted[finite])


def layer_error(layer: Layer, twin: Twin, inputs: torch.Tensor) -> float:
    """Relative root mean square of what the packed weight changes in the layer's outputs; infinity if none is known."""
    weight = layer.weight.detach().float()
    change = twin.weight - weight
    with torch.no_grad():
        error = relative_norm(_product(layer, inputs, change), _product(layer, inputs, weight))
    return float("inf") if math.isnan(error) else error


def relative_norm(change: torch.Tensor, whole: torch.Tensor) -> float:
    """Norm over norm; 0 where there is no change, infinity where there is one of nothing."""
    size, moved = float(whole.double().norm()), float(change.double().norm())
    return moved / size if size else (0.0 if moved == 0 else float("inf"))


class Trial:
    """A network whose layers are packed and put back one choice after the other.

    Args:
        network: a copy that nobody else uses.
        layers: its packable layers.
    """

    def __init__(self, network: nn.Module, layers: Mapping[str, Layer]) -> None:
        self.network = network
        self._dense = dict(layers)
        self.places = places_of(network, layers)
        self._twins: dict[tuple[str, str], Twin] = {}

    def twin(self, name: str, form: str) -> Twin:
        """The packed layer; made once."""
        if (name, form) not in self._twins:
            self._twins[name, form] = packed_twin(self._dense[name], form)
        return self._twins[name, form]

    def put(self, forms: Mapping[str, str]) -> nn.Module:
        """The network with exactly the layers of ``forms`` packed."""
        network = self.network
        for name, dense in self._dense.items():
            network = put(network, self.places[name], self.twin(name, forms[name]) if name in forms else dense)
        return network


def measured_quality(metric: Callable[[nn.Module], Any], network: nn.Module) -> float:
    """What the user's function says of the network.

    Raises:
        UsageError: it fails, or gives no number.
    """
    try:
        quality = float(metric(network))
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"the metric failed: {reason}; it is called with the network and returns a number") from error
    if not math.isfinite(quality):
        raise UsageError(f"the metric gave {quality}; it returns a finite number, larger being better")
    return quality


def _hooked(layer: nn.Module, kept: list[torch.Tensor]) -> Any:
    return layer.register_forward_pre_hook(partial(_take, kept), with_kwargs=True)


def _take(kept: list[torch.Tensor], layer: nn.Module, read: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    limit = _IMAGES if isinstance(layer, nn.Conv2d) else _ROWS
    if sum(len(part) for part in kept) < limit:
        inputs = next(iter((*read, *named.values()))).detach().float()
        inputs = inputs.reshape(-1, *inputs.shape[-3:]) if limit == _IMAGES else inputs.reshape(-1, inputs.shape[-1])
        kept.append(inputs[:limit].clone())


def _sampled(parts: list[torch.Tensor], layer: nn.Module) -> torch.Tensor:
    return torch.cat(parts)[: _IMAGES if isinstance(layer, nn.Conv2d) else _ROWS]


def _product(layer: Layer, inputs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    if isinstance(layer, SlimLinear):
        return functional.linear(inputs.index_select(-1, layer.retained), weight)
    if isinstance(layer, nn.Linear):
        return functional.linear(inputs, weight)
    return functional.conv2d(inputs, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)


def _tensors(outputs: Any) -> list[torch.Tensor]:
    if isinstance(outputs, torch.Tensor):
        return [outputs] if outputs.is_floating_point() else []
    each = outputs.values() if isinstance(outputs, Mapping) else outputs if isinstance(outputs, tuple | list) else ()
    return [tensor for part in each for tensor in _tensors(part)]
