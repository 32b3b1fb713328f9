"""How large a pruned network was before: what it may grow back to, and no further."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from headroom.change.widths.fit.network import Ceiling, Network
from headroom.change.widths.solve.problem import Width
from headroom.change.widths.staircase.layers import has_width, widths_of
from headroom.errors import ModelError
from headroom.graph.graph import Graph


def under(network: Network, unpruned: Graph) -> Network:
    """``network`` with the one it was pruned from as its ceiling, read off the layers of the same names.

    Where several groups add up to one width (a residual stream whose shortcut pads channels), a group without a width
    of its own gets what the others leave of it.

    Raises:
        ModelError: none of its layers is found there.
    """
    before = {layer.module or layer.name: layer for layer in unpruned.layers if has_width(layer)}
    common = [(wide, before[wide.name]) for wide in network.layers if wide.name in before]
    if not common:
        raise ModelError(
            f"{unpruned.name} has no layer with a width and a name of {network.graph.name}'s; give the network that it "
            "was pruned from"
        )
    sides = [side for wide, layer in common for side in zip((wide.inputs, wide.outputs), widths_of(layer), strict=True)]
    weights = {weight.name: math.prod(weight.shape) for _, layer in common for weight in layer.weights}
    return replace(network, ceiling=Ceiling(_of_groups(sides, network.widths), sum(weights.values())))


def _of_groups(sides: Sequence[tuple[Width, int]], present: Mapping[str, int]) -> dict[str, int]:
    """The most of each group, from widths in terms of groups and what they were."""
    found: dict[str, int] = {}
    for width, was in sides:
        if len(width.parts) == 1:
            ((group, share),) = width.parts.items()
            most = max(present[group], int((was - width.fixed) / share))
            found[group] = min(most, found.get(group, most))
    for width, was in sides:
        for group in width.parts.keys() - found.keys():
            others = sum(share * found.get(name, present[name]) for name, share in width.parts.items() if name != group)
            found[group] = max(present[group], int((was - width.fixed - others) / width.parts[group]))
    return found
