"""How wide each layer is as its groups move: what joins groups to tables of layer times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from headroom.change.widths.groups.group import WidthGroups
from headroom.change.widths.groups.stored import Axis, stored
from headroom.change.widths.solve.problem import Width


@dataclass(frozen=True)
class LayerWidths:
    """A layer's input and output width in terms of the widths of groups; what cannot move is a number.

    ``even`` says that a grouped convolution keeps its number of groups.
    """

    layer: str
    inputs: Width
    outputs: Width
    even: bool = False


def layer_widths(module: nn.Module, groups: WidthGroups) -> tuple[LayerWidths, ...]:
    """Every convolution and linear layer of ``module``, whose groups ``groups`` are."""
    parts: dict[Axis, dict[str, Fraction]] = {}
    for group in groups.free:
        for member in group.members:
            parts.setdefault(member.axis, {})[group.name] = Fraction(member.positions, group.width)
    names = {id(held.tensor): name for name, held in stored(module).items()}
    return tuple(_layers(module, groups, parts, names))


def _layers(
    module: nn.Module, groups: WidthGroups, parts: dict[Axis, dict[str, Fraction]], names: dict[int, str]
) -> Iterator[LayerWidths]:
    widths = {group.name: group.width for group in groups.free}

    def width(axis: Axis, size: int, times: Fraction) -> Width:
        shares = {name: times * share for name, share in parts.get(axis, {}).items()}
        fixed = size - sum((share * widths[name] for name, share in shares.items()), Fraction(0))
        return Width(int(fixed), shares)

    for name, layer in module.named_modules():
        if not isinstance(layer, (_ConvNd, nn.Linear)):
            continue
        found: Any = layer
        weight = names.get(id(found.weight))
        if weight is None:
            # Weight or spectral normalisation computes it, and no group lies along what it is computed from.
            ends = ("in_features", "out_features") if isinstance(layer, nn.Linear) else ("in_channels", "out_channels")
            into, out = (Width(getattr(found, end)) for end in ends)
            yield LayerWidths(name, into, out)
            continue
        if isinstance(layer, nn.Linear):
            one = Fraction(1)
            yield LayerWidths(
                name, width(Axis(weight, 1), found.in_features, one), width(Axis(weight, 0), found.out_features, one)
            )
            continue
        yield _convolution(name, found, weight, weight in groups.even, width)


def _convolution(name: str, layer: Any, weight: str, even: bool, width: Any) -> LayerWidths:
    """A grouped convolution's weight has one end per group; its other end follows, or moves by all groups at once."""
    turned = int(isinstance(layer, _ConvTransposeNd))
    ends = {
        0: layer.in_channels if turned else layer.out_channels,
        1: layer.out_channels if turned else layer.in_channels,
    }
    stacked = width(Axis(weight, 0), ends[0], Fraction(1))
    if layer.groups == 1 or even:
        other = width(Axis(weight, 1), ends[1], Fraction(layer.groups))
    else:
        other = width(Axis(weight, 0), ends[1], Fraction(ends[1], ends[0]))
    return LayerWidths(name, stacked, other, even) if turned else LayerWidths(name, other, stacked, even)
