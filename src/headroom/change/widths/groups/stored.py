"""What a module stores: its parameters and buffers by name, and how one is replaced wherever it is held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Axis(NamedTuple):
    """One axis of one stored tensor: ``Axis("conv1.weight", 0)`` are the output channels of ``conv1``."""

    tensor: str
    axis: int

    @property
    def layer(self) -> str:
        """The module that holds the tensor; empty for one that the network itself holds."""
        return self.tensor.rpartition(".")[0]


@dataclass(frozen=True)
class Held:
    """A stored tensor and every place that holds it: tied weights have several."""

    tensor: Tensor
    holders: tuple[tuple[nn.Module, str], ...]

    def replace(self, tensor: Tensor) -> None:
        """Put ``tensor`` into every place, as a parameter where a parameter stood, with its ``requires_grad``."""
        if isinstance(self.tensor, nn.Parameter):
            tensor = nn.Parameter(tensor, requires_grad=self.tensor.requires_grad)
        for module, attribute in self.holders:
            setattr(module, attribute, tensor)


def stored(module: nn.Module) -> dict[str, Held]:
    """Every parameter and buffer by its first name in the state dict, each tensor once."""
    names: dict[int, str] = {}
    tensors: dict[str, Tensor] = {}
    holders: dict[str, list[tuple[nn.Module, str]]] = {}
    for prefix, owner in module.named_modules():
        for attribute, tensor in (*owner._parameters.items(), *owner._buffers.items()):
            if tensor is None:
                continue
            name = names.setdefault(id(tensor), f"{prefix}.{attribute}" if prefix else attribute)
            tensors.setdefault(name, tensor)
            holders.setdefault(name, []).append((owner, attribute))
    return {name: Held(tensor, tuple(holders[name])) for name, tensor in tensors.items()}


class Atoms:
    """Numbers for every position of every axis of the stored tensors ("atoms"), and for every element of them.

    An atom is the smallest thing that can be removed: one output channel of one weight, one entry of one bias.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = dict(shapes)
        self._first: dict[Axis, int] = {}
        self._first_element: dict[str, int] = {}
        self.count = 0
        elements = 0
        for name, shape in self.shapes.items():
            self._first_element[name] = elements
            elements += torch.Size(shape).numel()
            for axis, size in enumerate(shape):
                self._first[Axis(name, axis)] = self.count
                self.count += size

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(self._first_element)

    @cached_property
    def _starts(self) -> Tensor:
        return torch.tensor(list(self._first_element.values()), dtype=torch.int64)

    def of(self, axis: Axis) -> range:
        """The atoms of an axis, in order."""
        first = self._first[axis]
        return range(first, first + self.shapes[axis.tensor][axis.axis])

    def axes(self) -> tuple[Axis, ...]:
        """Every axis, in the order of its atoms."""
        return tuple(self._first)

    def elements(self, name: str) -> Tensor:
        """The numbers of a stored tensor's elements, in its shape."""
        shape = self.shapes[name]
        return torch.arange(torch.Size(shape).numel()).reshape(shape) + self._first_element[name]

    def holder(self, elements: Tensor) -> str | None:
        """The one stored tensor that all ``elements`` are of; ``None`` where there are several, or no elements."""
        if not elements.numel():
            return None
        ends = torch.stack([elements.min(), elements.max()])
        first, last = (torch.searchsorted(self._starts, ends, right=True) - 1).tolist()
        return self._names[first] if first == last else None

    def along(self, elements: Tensor, axis: Axis) -> Tensor:
        """The atom of ``axis`` that each element of its tensor lies at."""
        shape = self.shapes[axis.tensor]
        inner = torch.Size(shape[axis.axis + 1 :]).numel()
        flat = elements - self._first_element[axis.tensor]
        return flat // inner % shape[axis.axis] + self._first[axis]
