"""How large a pruned network was before: what it may grow back to, and no further."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from headroom.change.widths.fit.network import Ceiling, Network
from headroom.change.widths.solve.problem import Width
from headroom.change.widths.staircase.layers import has_width, widths_of
from headroom.errors import ModelError
from headroom.graph.graph import Graph


def under(network: Network, unpruned: Graph) -> Network:
    """``network`` with the one it was pruned from as its ceiling, read off the layers of the same names.

    Where several groups add up to one width (a residual stream whose shortcut pads channels), only the sum was that
    wide: there the count of parameters holds them.

    Raises:
        ModelError: none of its layers is found there.
    """
    before = {layer.module or layer.name: layer for layer in unpruned.layers if has_width(layer)}
    widths: dict[str, int] = {}
    weights: dict[str, int] = {}
    for wide in network.layers:
        if (layer := before.get(wide.name)) is None:
            continue
        weights |= {weight.name: math.prod(weight.shape) for weight in layer.weights}
        for width, was in zip((wide.inputs, wide.outputs), widths_of(layer), strict=True):
            for group, most in _of_one_group(width, was):
                widths[group] = min(most, widths.get(group, most))
    if not weights:
        raise ModelError(
            f"{unpruned.name} has no layer with a width and a name of {network.graph.name}'s; give the network that it "
            "was pruned from"
        )
    return replace(network, ceiling=Ceiling(widths, sum(weights.values())))


def _of_one_group(width: Width, was: int) -> Iterator[tuple[str, int]]:
    if len(width.parts) == 1:
        ((group, share),) = width.parts.items()
        yield group, int((was - width.fixed) / share)
