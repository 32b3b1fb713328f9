"""A network with its width groups laid over its graph: what times are of meets what widths are of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from headroom.change.widths.solve.problem import Width
from headroom.change.widths.staircase.layers import at_widths, has_width, is_tied, widths_of
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.work import Convolution

if TYPE_CHECKING:
    from headroom.change.widths.groups.group import WidthGroup, WidthGroups
    from headroom.change.widths.groups.layer_widths import LayerWidths


@dataclass(frozen=True)
class WideLayer:
    """A layer of the graph, its input and output width in terms of groups.

    ``grows_groups`` says that a grouped convolution gains whole groups, rather than wider ones.
    """

    layer: Layer
    inputs: Width
    outputs: Width
    grows_groups: bool = False

    @property
    def name(self) -> str:
        return self.layer.module or self.layer.name

    @property
    def groups(self) -> frozenset[str]:
        """The names of the width groups that it follows."""
        return frozenset({*self.inputs.parts, *self.outputs.parts})

    def at(self, in_width: int, out_width: int) -> Layer | None:
        """The layer with these widths; ``None`` where it cannot have them."""
        layer, work = self.layer, self.layer.work
        if isinstance(work, Convolution) and work.groups > 1 and not is_tied(layer):
            groups = work.groups * out_width // work.out_channels if self.grows_groups else work.groups
            if not groups or in_width % groups or out_width % groups:
                return None
            layer = replace(layer, work=replace(work, groups=groups))
        return at_widths(layer, out_width, in_width)


@dataclass(frozen=True)
class Ceiling:
    """What a network may grow back to: widths of groups, and parameters of ``Network.layers`` in all."""

    widths: Mapping[str, int]
    parameters: int


@dataclass(frozen=True)
class Network:
    """A graph, its width groups, and the layers whose times depend on them.

    ``fixed`` gives the reason why a group stays as it is: the group's own, or what the graph does not show of it.
    ``ceiling`` is the network that this one was pruned from, where it is known.
    """

    graph: Graph
    groups: WidthGroups
    layers: tuple[WideLayer, ...]
    fixed: Mapping[str, str] = field(default_factory=dict)
    ceiling: Ceiling | None = None

    @property
    def free(self) -> tuple[WidthGroup, ...]:
        """The groups that may move."""
        return tuple(group for group in self.groups.groups if group.name not in self.fixed)

    @property
    def ceilings(self) -> Mapping[str, int]:
        """The widths that groups may not exceed."""
        return {} if self.ceiling is None else self.ceiling.widths

    @property
    def widths(self) -> dict[str, int]:
        """The present width of every group that ``layers`` may name."""
        return {group.name: group.width for group in self.groups.groups}


def network_of(
    graph: Graph, groups: WidthGroups, found: Sequence[LayerWidths], names: Mapping[str, str] | None = None
) -> Network:
    """Join the layers of ``graph`` to what their groups say of their widths.

    Args:
        found: what :func:`.layer_widths` says of the module that ``graph`` is the graph of.
        names: how a layer of ``found`` is called in the graph (its name, its module or one of its outputs); its own
            name where not given.

    A group that lies along a layer which the graph does not show with the same widths is fixed: no time is known of it.
    """
    widths = {group.name: group.width for group in groups.groups}
    called = _called(graph.layers)
    layers: list[WideLayer] = []
    fixed = {group.name: group.frozen for group in groups.groups if group.frozen is not None}
    for each in found:
        name = (names or {}).get(each.layer, each.layer)
        own = (each.inputs.at(widths), each.outputs.at(widths))
        same = [layer for layer in called.get(name, ()) if has_width(layer) and widths_of(layer) == own]
        layers.extend(_wide(layer, each) for layer in same)
        if not same:
            for group in {*each.inputs.parts, *each.outputs.parts} - fixed.keys():
                fixed[group] = f"no time is known for {each.layer}, which follows it"
    in_order = sorted(layers, key=lambda wide: graph.layers.index(wide.layer))
    return Network(graph, groups, tuple(_held(wide, fixed, widths) for wide in in_order), fixed)


def _called(layers: Iterable[Layer]) -> dict[str, list[Layer]]:
    """Layers by each name that they go by."""
    found: dict[str, list[Layer]] = {}
    for layer in layers:
        outputs = (tensor.name for part in (layer, *layer.parts) for tensor in part.outputs)
        for name in {layer.name, layer.module, *outputs} - {""}:
            found.setdefault(name, []).append(layer)
    return found


def _wide(layer: Layer, widths: LayerWidths) -> WideLayer:
    work = layer.work
    grouped = isinstance(work, Convolution) and work.groups > 1
    return WideLayer(layer, widths.inputs, widths.outputs, grouped and not widths.even)


def _held(wide: WideLayer, fixed: Mapping[str, str], widths: Mapping[str, int]) -> WideLayer:
    """The layer with what cannot move counted as channels that stay."""

    def held(width: Width) -> Width:
        moving = {name: share for name, share in width.parts.items() if name not in fixed}
        still = sum(share * widths[name] for name, share in width.parts.items() if name in fixed)
        return Width(int(width.fixed + still), moving)

    return replace(wide, inputs=held(wide.inputs), outputs=held(wide.outputs))
