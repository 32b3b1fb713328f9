"""Find which kinds of channels of one network move together: alone, else with what they are linked to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from torch import nn

from headroom.change.widths.groups.classes import Kind, Traced
from headroom.change.widths.groups.described import described
from headroom.change.widths.groups.elastic import ADAPTING
from headroom.change.widths.groups.group import WidthGroup
from headroom.change.widths.groups.stored import Axis
from headroom.change.widths.groups.trials import Trials, Tried


class Search:
    """The search through one network's kinds of channels."""

    def __init__(self, module: nn.Module, inputs: Any, traced: Traced, even: frozenset[str]) -> None:
        self._traced = traced
        self._bare = _bare_axes(module, traced)
        self._trials = Trials(module, inputs, traced, even, frozenset(traced.generators) | self._bare)

    def groups(self) -> Iterator[WidthGroup]:
        """Every group, in the order of the network's layers."""
        found: list[Tried] = []
        stuck: list[Tried] = []
        for kinds in _alike(self._traced.kinds.values()):
            reasons = tuple(dict.fromkeys(reason for kind in kinds for reason in kind.frozen))
            tried = Tried(kinds, {}, frozen="; ".join(reasons)) if reasons else self._trials.attempt(kinds)
            (found if reasons or tried.frozen is None else stuck).append(tried)
        for links, with_settings in (
            *((self._layers, False), (self._cuts, False)),
            *((self._itself, True), (self._layers, True), (self._modules, True)),
        ):
            stuck, freed = self._joined(stuck, links, with_settings)
            found.extend(freed)
        found.extend(stuck)
        found.sort(key=lambda each: min(int(kind.channels[0][0]) for kind in each.kinds))
        return described(found, self._traced, self._bare)

    def _joined(
        self, stuck: Sequence[Tried], links: Callable[[Tried], set[Any]], with_settings: bool
    ) -> tuple[list[Tried], list[Tried]]:
        """What cannot move alone, tried together with what it is linked to: those that still cannot, those that can."""
        left: list[Tried] = []
        freed: list[Tried] = []
        for together in _components(stuck, [links(each) for each in stuck]):
            if len(together) == 1 and not with_settings:
                left.extend(together)
                continue
            tried = self._trials.attempt(tuple(kind for each in together for kind in each.kinds), with_settings)
            if tried.frozen is None:
                freed.append(tried)
            else:
                left.extend(together)
        return left, freed

    def _itself(self, found: Tried) -> set[Any]:
        return {id(found)}

    def _layers(self, found: Tried) -> set[Any]:
        """The layers whose output they are part of."""
        return {axis for kind in found.kinds for axis, _ in kind.spans if axis in self._traced.generators}

    def _cuts(self, found: Tried) -> set[Any]:
        """The operators that cut them apart or put them together, and their layers."""
        atoms = np.concatenate([kind.channels.reshape(-1) for kind in found.kinds])
        cuts: set[Any] = {number for number, cut in enumerate(self._traced.cuts) if np.isin(cut, atoms).any()}
        return cuts | self._layers(found)

    def _modules(self, found: Tried) -> set[Any]:
        """The modules around their layers, whose attributes they may share."""
        return {axis.layer.rpartition(".")[0] for axis in self._layers(found)}


def _bare_axes(module: nn.Module, traced: Traced) -> frozenset[Axis]:
    """Axes of tensors that no standard layer holds: nothing adapts them to what arrives."""
    adapting = {
        f"{name}.{attribute}" if name else attribute
        for name, layer in module.named_modules()
        if isinstance(layer, ADAPTING)
        for attribute, _ in (*layer._parameters.items(), *layer._buffers.items())
    }
    axes = (axis for kind in traced.kinds.values() for axis, _ in kind.spans)
    return frozenset(axis for axis in axes if axis.tensor not in adapting)


def _alike(kinds: Iterable[Kind]) -> list[tuple[Kind, ...]]:
    """Kinds that touch the same axes: the heads of an attention, the halves of a gated unit."""
    found: dict[Any, list[Kind]] = {}
    for kind in kinds:
        found.setdefault(kind.spans, []).append(kind)
    return [tuple(each) for each in found.values()]


def _components(items: Sequence[Any], links: Sequence[set[Any]]) -> list[list[Any]]:
    """Items that share a link, directly or through others."""
    groups: list[tuple[list[Any], set[Any]]] = []
    for item, own in zip(items, links, strict=True):
        touching = [group for group in groups if group[1] & own]
        merged = (
            [each for group in touching for each in group[0]] + [item],
            own.union(*(group[1] for group in touching)),
        )
        groups = [group for group in groups if group not in touching] + [merged]
    return [group[0] for group in groups]
