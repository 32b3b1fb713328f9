"""Let a module's layers take whatever width arrives, so that a run shows what a change of widths does downstream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from headroom.change.widths.groups.stored import Axis, Held, stored


class WidthError(Exception):
    """Widths that a network's own code, or one of its layers, does not allow. Its text ends a sentence."""


class OutputError(WidthError):
    """The network runs with these widths, and computes something else."""


class SilentError(WidthError):
    """These channels made no difference with the weights at hand."""


class Resizer:
    """Resizes stored tensors of one module wherever they are held. New elements are zero until they are filled."""

    def __init__(self, module: nn.Module) -> None:
        self._held = stored(module)
        self._name_of = {
            (id(owner), attribute): name for name, held in self._held.items() for owner, attribute in held.holders
        }

    def tensor(self, name: str) -> Tensor:
        owner, attribute = self._held[name].holders[0]
        found: Tensor = getattr(owner, attribute)
        return found

    def resize(self, axis: Axis, size: int) -> None:
        """Give one axis of one stored tensor another size."""
        if size < 1:
            raise WidthError(f"{axis.tensor} would have no channel left")
        before = self.tensor(axis.tensor)
        if before.shape[axis.axis] == size:
            return
        shape = list(before.shape)
        shape[axis.axis] = size
        after = torch.zeros(shape, dtype=before.dtype, device=before.device)
        Held(before, self._held[axis.tensor].holders).replace(after)

    def fit(self, layer: nn.Module, attribute: str, axis: int, size: int) -> None:
        """The same for an attribute of a layer, if it has one there."""
        if getattr(layer, attribute, None) is not None:
            self.resize(Axis(self.name(layer, attribute), axis), size)

    def name(self, layer: nn.Module, attribute: str) -> str:
        """The name of the tensor that a layer has there.

        Raises:
            WidthError: it is none of the stored ones: weight or spectral normalisation computes it from them.
        """
        name = self._name_of.get((id(layer), attribute))
        if name is None:
            raise WidthError(f"the {attribute} of a {type(layer).__name__} is computed from other tensors")
        return name


Fit = Callable[[Resizer, Any, Tensor, frozenset[str]], None]


@contextmanager
def elastic(module: nn.Module, resizer: Resizer, even: frozenset[str]) -> Iterator[None]:
    """Within it, every standard layer of ``module`` adapts to the width of its input before it runs."""
    hooks = []
    for layer in module.modules():
        fit = next((fit for kind, fit in _FITS if isinstance(layer, kind)), None)
        if fit is not None:
            hooks.append(layer.register_forward_pre_hook(_hook(fit, resizer, even), with_kwargs=True))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _hook(
    fit: Fit, resizer: Resizer, even: frozenset[str]
) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
    def before(layer: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        entering = inputs[0] if inputs else named.get("input")
        if isinstance(entering, Tensor):
            fit(resizer, layer, entering, even)

    return before


def _convolution(resizer: Resizer, layer: Any, entering: Tensor, even: frozenset[str]) -> None:
    channels = entering.shape[entering.ndim - layer.weight.ndim + 1]
    transposed = isinstance(layer, _ConvTransposeNd)
    if layer.groups > 1:
        _regroup(resizer, layer, channels, resizer.name(layer, "weight") in even, transposed)
    elif transposed:
        resizer.fit(layer, "weight", 0, channels)
    else:
        resizer.fit(layer, "weight", 1, channels)
    layer.in_channels = channels
    layer.out_channels = layer.weight.shape[1] * layer.groups if transposed else layer.weight.shape[0]
    resizer.fit(layer, "bias", 0, layer.out_channels)


def _regroup(resizer: Resizer, layer: Any, channels: int, even: bool, transposed: bool) -> None:
    per_group = layer.groups if even else layer.in_channels // layer.groups
    if channels % per_group:
        unit = "groups" if even else "channels in each group"
        raise WidthError(f"a convolution with {per_group} {unit} cannot take {channels} channels")
    if transposed:
        resizer.fit(layer, "weight", 0, channels)
    elif even:
        resizer.fit(layer, "weight", 1, channels // per_group)
    else:
        each = layer.weight.shape[0] // layer.groups
        resizer.fit(layer, "weight", 0, each * (channels // per_group))
    if not even:
        layer.groups = channels // per_group


def _linear(resizer: Resizer, layer: Any, entering: Tensor, even: frozenset[str]) -> None:
    resizer.fit(layer, "weight", 1, entering.shape[-1])
    layer.out_features, layer.in_features = layer.weight.shape
    resizer.fit(layer, "bias", 0, layer.out_features)


def _norm(resizer: Resizer, layer: Any, entering: Tensor, even: frozenset[str]) -> None:
    layer.num_features = entering.shape[1]
    for attribute in ("weight", "bias", "running_mean", "running_var"):
        resizer.fit(layer, attribute, 0, layer.num_features)


def _prelu(resizer: Resizer, layer: Any, entering: Tensor, even: frozenset[str]) -> None:
    if layer.num_parameters > 1:
        layer.num_parameters = entering.shape[1]
        resizer.fit(layer, "weight", 0, layer.num_parameters)


def _embedding(resizer: Resizer, layer: Any, entering: Tensor, even: frozenset[str]) -> None:
    layer.embedding_dim = layer.weight.shape[1]


_FITS: tuple[tuple[type[nn.Module], Fit], ...] = (
    (_ConvNd, _convolution),
    (nn.Linear, _linear),
    (_NormBase, _norm),
    (nn.PReLU, _prelu),
    (nn.Embedding, _embedding),
)

#: Layers whose inner sizes follow from their input and their own choice of output.
ADAPTING = tuple(kind for kind, _ in _FITS)
