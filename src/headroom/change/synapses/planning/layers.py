"""Which layers of a network can lose synapse vectors, and whose filters then go too. Importing it loads PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from headroom.change.synapses.vectors import Grain
from headroom.change.widths.groups import Axis, WidthGroup, WidthGroups, width_groups
from headroom.change.widths.staircase.layers import has_width, widths_of
from headroom.errors import ModelError
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer


@dataclass(frozen=True, eq=False)
class Place:
    """A layer of the network that may lose synapse vectors.

    Attributes:
        name: of the module.
        module: the dense layer.
        layer: what the graph has for it.
        count: how often the network runs it.
        grain: at which it can run as an ordinary smaller layer.
        group: the width group that its inputs are, where nobody else reads them; its producers' filters then go too.
    """

    name: str
    module: nn.Linear | nn.Conv2d
    layer: Layer
    count: int
    grain: Grain
    group: WidthGroup | None = None

    @property
    def block(self) -> int:
        """Neighbouring inputs that one channel of the group makes, if a flattening stands between: they go together."""
        return 1 if self.group is None else self.module.weight.shape[1] // self.group.width

    @property
    def producers(self) -> tuple[str, ...]:
        """Layers whose outputs the inputs are, by their weights' first axis."""
        if self.group is None:
            return ()
        return tuple(
            axis.layer for axis in self.group.steps if axis.axis == 0 and axis.tensor == f"{axis.layer}.weight"
        )


def places_of(network: nn.Module, graph: Graph, groups: WidthGroups | None) -> tuple[tuple[Place, ...], dict[str, str]]:
    """The layers that may lose synapse vectors, and why others of their kind stay dense, by name."""
    runs: dict[str, list[Layer]] = {}
    for layer in graph.layers:
        if layer.module and has_width(layer):
            runs.setdefault(layer.module, []).append(layer)
    sole = {} if groups is None else sole_readers(groups)
    holders = _holders(network)
    found, dense = [], {}
    for name, module in network.named_modules():
        if not isinstance(module, nn.Linear | nn.Conv2d):
            continue
        others = [other for other in holders.get(id(module.weight), []) if other != name]
        reason = _why_dense(module, runs.get(name, []), others)
        if reason:
            dense[name] = reason
            continue
        grain = Grain.FEATURE if isinstance(module, nn.Linear) else Grain.CHANNEL
        layer = runs[name][0]
        found.append(Place(name, module, layer, len(runs[name]), grain, sole.get(name)))
    return tuple(found), dense


def _holders(network: nn.Module) -> dict[int, list[str]]:
    """Names of the modules that hold a parameter, by its identity; a module of two names counts twice."""
    found: dict[int, list[str]] = {}
    for name, module in network.named_modules(remove_duplicate=False):
        for parameter in module.parameters(recurse=False):
            found.setdefault(id(parameter), []).append(name)
    return found


def _why_dense(module: nn.Linear | nn.Conv2d, runs: list[Layer], others: list[str]) -> str:
    if type(module) not in (nn.Linear, nn.Conv2d):
        return f"it is a {type(module).__name__}, whose weights follow from other tensors"
    if isinstance(module, nn.Conv2d) and module.groups != 1:
        return f"it has {module.groups} groups, each with synapse vectors of its own"
    if others:
        # What one of them loses all would lose.
        return f"{others[0]} has the same weight"
    if not runs:
        return "the network does not run it as a product of its own"
    if len({layer.configuration for layer in runs}) > 1:
        return "the network runs it on several sizes"
    if widths_of(runs[0])[0] != module.weight.shape[1]:
        return "what the network multiplies is not its weight as it is stored"
    return ""


def groups_of(network: nn.Module, example: Any) -> tuple[WidthGroups | None, str]:
    """The width groups of the network, or why it has none to go by."""
    try:
        return width_groups(network, example), ""
    except ModelError as error:
        return None, f"No producer's filter goes with the channels that it makes: {error}."


def sole_readers(groups: WidthGroups) -> Mapping[str, WidthGroup]:
    """Layers that alone read the channels of a group that can move freely, by name.

    Every input of such a layer is of one unit of the group, so that who drops all inputs of a unit drops what makes it.
    """
    found = {}
    for group in groups.free:
        readers = [member for member in group.members if member.axis.axis == 1]
        if len(readers) != 1 or group.unit != 1 or group.rescaled or group.settings:
            continue
        (reader,) = readers
        axis = Axis(f"{reader.axis.layer}.weight", 1)
        whole = reader.positions == reader.size and reader.size % group.width == 0
        if reader.axis == axis and whole and any(step.axis == 0 for step in group.steps):
            found[axis.layer] = group
    return found
