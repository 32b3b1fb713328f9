"""What Torch-Pruning's dependency graph says of the same groups.

It follows autograd's graph rather than the channels themselves, so that the two know nothing of each other: where they
agree, two methods found the same layers. Where they do not, the proof has the last word, and the difference is shown.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch_pruning
from torch import nn

from headroom.change.widths.groups.group import Member, WidthGroup, WidthGroups

#: A layer, and whether its outputs or its inputs move.
End = tuple[str, str]


@dataclass(frozen=True)
class Opinion:
    """One group's other opinion: ends of layers that only the trace finds, or only the graph; or why it has none."""

    group: str
    only_traced: frozenset[End] = frozenset()
    only_graph: frozenset[End] = frozenset()
    failed: str | None = None

    @property
    def agrees(self) -> bool:
        return self.failed is None and not self.only_traced and not self.only_graph


def second_opinion(module: nn.Module, example_inputs: Any, groups: WidthGroups) -> tuple[Opinion, ...]:
    """Ask Torch-Pruning's ``DependencyGraph`` about every group that can move. The module stays as it is."""
    watched = copy.deepcopy(module).eval()
    graph = torch_pruning.DependencyGraph()
    # It says by warnings what it found unwrapped, and fails with anything where it cannot follow.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            graph.build_dependency(watched, example_inputs=example_inputs, verbose=False)
        except Exception as error:  # noqa: BLE001
            return tuple(Opinion(group.name, failed=f"{type(error).__name__}: {error}") for group in groups.free)
        return tuple(_opinion(graph, watched, group) for group in groups.free)


def _opinion(graph: Any, module: nn.Module, group: WidthGroup) -> Opinion:
    traced = frozenset(_ends(module, group))
    own = next((member for member in group.members if member.axis in group.steps and _end(module, member)), None)
    if own is None:
        return Opinion(group.name, failed="no layer of a kind that it prunes chooses this width")
    root = module.get_submodule(own.axis.layer)
    positions = [place for start, stop in own.slices for place in range(start, stop)]
    try:
        found = graph.get_pruning_group(root, graph.get_pruner_of_module(root).prune_out_channels, idxs=positions)
        names = {each: name for name, each in module.named_modules()}
        listed = frozenset(
            (names[each.dep.target.module], "out" if graph.is_out_channel_pruning_fn(each.dep.handler) else "in")
            for each in found
            if isinstance(each.dep.target.module, _COMPARED)
        )
    except Exception as error:  # noqa: BLE001
        return Opinion(group.name, failed=f"{type(error).__name__}: {error}")
    return Opinion(group.name, traced - listed, listed - traced)


#: Layers with an input and an output end; others follow from them.
_COMPARED = (nn.modules.conv._ConvNd, nn.Linear)


def _ends(module: nn.Module, group: WidthGroup) -> Iterator[End]:
    for member in group.members:
        if (end := _end(module, member)) is not None:
            yield end


def _end(module: nn.Module, member: Member) -> End | None:
    """The end of a layer that a weight's axis is; ``None`` for biases and other layers."""
    layer = module.get_submodule(member.axis.layer)
    if not isinstance(layer, _COMPARED) or not member.axis.tensor.endswith("weight"):
        return None
    transposed = isinstance(layer, nn.modules.conv._ConvTransposeNd)
    return member.axis.layer, "out" if member.axis.axis == int(transposed) else "in"
