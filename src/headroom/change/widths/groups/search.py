"""Try how the kinds of channels of one network can move, and prove what moves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from headroom.change.widths.groups.classes import Kind, Traced
from headroom.change.widths.groups.elastic import ADAPTING, OutputError, SilentError, WidthError
from headroom.change.widths.groups.group import Member, Setting, WidthGroup
from headroom.change.widths.groups.layout import Filling
from headroom.change.widths.groups.move import Move
from headroom.change.widths.groups.proof import Stand, prove
from headroom.change.widths.groups.settings import possible_settings
from headroom.change.widths.groups.stored import Axis

#: Multiples of the smallest step that are tried before a group is called frozen.
_MULTIPLES = (1, 2, 4, 8)
#: The same where attributes of modules are tried along, which makes many tries of each.
_SMALLEST = (1,)
#: Sets of random weights that a proof is tried with where one silences the channels in question.
_STANDS = 3


@dataclass(frozen=True)
class _Found:
    """A set of kinds that moves together, the steps that it moves in, or why it does not."""

    kinds: tuple[Kind, ...]
    steps: dict[Axis, int]
    settings: tuple[Setting, ...] = ()
    rescaled: bool = False
    frozen: str | None = None


class Search:
    """The search through one network's kinds of channels."""

    def __init__(self, module: nn.Module, inputs: Any, traced: Traced, even: frozenset[str]) -> None:
        self._module = module
        self._traced = traced
        self._even = even
        self._inputs = inputs
        self._stands: dict[int, Stand] = {}
        self._bare = self._bare_axes()
        self._chosen = frozenset(traced.generators) | self._bare

    def _bare_axes(self) -> frozenset[Axis]:
        """Axes of tensors that no standard layer holds: nothing adapts them to what arrives."""
        adapting = {
            f"{name}.{attribute}" if name else attribute
            for name, layer in self._module.named_modules()
            if isinstance(layer, ADAPTING)
            for attribute, _ in (*layer._parameters.items(), *layer._buffers.items())
        }
        axes = (axis for kind in self._traced.kinds.values() for axis, _ in kind.spans)
        return frozenset(axis for axis in axes if axis.tensor not in adapting)

    def groups(self) -> Iterator[WidthGroup]:
        """Every group, in the order of the network's layers."""
        found: list[_Found] = []
        stuck: list[_Found] = []
        for kinds in _alike(self._traced.kinds.values()):
            reasons = tuple(dict.fromkeys(reason for kind in kinds for reason in kind.frozen))
            tried = _Found(kinds, {}, frozen="; ".join(reasons)) if reasons else self._try(kinds)
            (found if reasons or tried.frozen is None else stuck).append(tried)
        for links, with_settings in (
            *((self._layers, False), (self._cuts, False)),
            *((self._itself, True), (self._layers, True), (self._modules, True)),
        ):
            stuck, freed = self._joined(stuck, links, with_settings)
            found.extend(freed)
        found.extend(stuck)
        found.sort(key=lambda each: min(int(kind.channels[0][0]) for kind in each.kinds))
        taken: set[str] = set()
        # Where two groups would have one name, the one that can move is the one to be asked for.
        named = {id(each): self._name(each, taken) for each in sorted(found, key=lambda each: each.frozen is not None)}
        for each in found:
            yield self._group(each, named[id(each)])

    def _joined(
        self, stuck: Sequence[_Found], links: Callable[[_Found], set[Any]], with_settings: bool
    ) -> tuple[list[_Found], list[_Found]]:
        """What cannot move alone, tried together with what it is linked to: those that still cannot, those that can."""
        left: list[_Found] = []
        freed: list[_Found] = []
        for together in _components(stuck, [links(each) for each in stuck]):
            if len(together) == 1 and not with_settings:
                left.extend(together)
                continue
            tried = self._try(tuple(kind for each in together for kind in each.kinds), with_settings)
            if tried.frozen is None:
                freed.append(tried)
            else:
                left.extend(together)
        return left, freed

    def _itself(self, found: _Found) -> set[Any]:
        return {id(found)}

    def _layers(self, found: _Found) -> set[Any]:
        """The layers whose output they are part of."""
        return {axis for kind in found.kinds for axis, _ in kind.spans if axis in self._traced.generators}

    def _cuts(self, found: _Found) -> set[Any]:
        """The operators that cut them apart or put them together, and their layers."""
        atoms = np.concatenate([kind.channels.reshape(-1) for kind in found.kinds])
        cuts: set[Any] = {number for number, cut in enumerate(self._traced.cuts) if np.isin(cut, atoms).any()}
        return cuts | self._layers(found)

    def _modules(self, found: _Found) -> set[Any]:
        """The modules around their layers, whose attributes they may share."""
        return {axis.layer.rpartition(".")[0] for axis in self._layers(found)}

    def _try(self, kinds: tuple[Kind, ...], with_settings: bool = False) -> _Found:
        """The smallest steps in which these kinds move together and pass the proof."""
        reasons: list[str] = []
        computes_otherwise = False
        for steps in self._steps(kinds, _SMALLEST if with_settings else _MULTIPLES):
            if computes_otherwise and not self._can_shrink(kinds, steps):
                # Smaller steps ran and failed the proof; where nothing can be removed, half of it is left to pass.
                break
            for settings in possible_settings(self._module, kinds, steps) if with_settings else ((),):
                for rescaled in (False, True):
                    refused = self._refused(kinds, steps, settings, rescaled)
                    if refused is None:
                        return _Found(kinds, steps, settings, rescaled)
                    reasons.append(str(refused))
                    computes_otherwise |= isinstance(refused, OutputError | SilentError)
                    if not (isinstance(refused, OutputError) and self._has_queries(kinds)):
                        break
        return _Found(kinds, {}, frozen=reasons[0] if reasons else "no layer chooses this width")

    def _has_queries(self, kinds: tuple[Kind, ...]) -> bool:
        return any(self._traced.queries[kind.channels].any() for kind in kinds)

    def _refused(
        self, kinds: tuple[Kind, ...], steps: dict[Axis, int], settings: tuple[Setting, ...], rescaled: bool
    ) -> WidthError | None:
        """Why the proof of these steps fails; ``None`` where it holds."""
        grow, shrink = (
            Move(
                {axis: sign * step for axis, step in steps.items()},
                {kind.key: sign for kind in kinds},
                {(each.module, each.attribute): each.value + sign * each.step for each in settings},
            )
            for sign in (1, -1)
        )
        smaller = shrink if self._can_shrink(kinds, steps) else None
        filling = Filling(rescale=frozenset(each.key for each in kinds if rescaled))
        refused: WidthError | None = None
        for seed in range(_STANDS):
            try:
                prove(self._stand(seed), self._traced, grow, smaller, self._even, filling)
            except SilentError as error:
                refused = error
            except WidthError as error:
                return error
            else:
                return None
        return refused

    def _stand(self, seed: int) -> Stand:
        if seed not in self._stands:
            self._stands[seed] = Stand(self._module, self._inputs, seed)
        return self._stands[seed]

    def _can_shrink(self, kinds: tuple[Kind, ...], steps: dict[Axis, int]) -> bool:
        return all(_positions(kinds, axis) > step for axis, step in steps.items())

    def _steps(self, kinds: tuple[Kind, ...], multiples: Sequence[int]) -> list[dict[Axis, int]]:
        """Steps to try, the smallest first: one channel of each kind, or the same share of each layer."""
        axes = [
            axis for axis in dict.fromkeys(axis for kind in kinds for axis, _ in kind.spans) if axis in self._chosen
        ]
        if not axes:
            return []
        one_each = {axis: sum(kind.positions(axis) for kind in kinds) for axis in axes}
        widths = {axis: _positions(kinds, axis) for axis in axes}
        common = math.gcd(*widths.values())
        in_proportion = {axis: width // common for axis, width in widths.items()}
        found: list[dict[Axis, int]] = []
        for base in (one_each, in_proportion):
            for multiple in multiples:
                steps = {axis: multiple * step for axis, step in base.items()}
                if steps not in found:
                    found.append(steps)
        return sorted(found, key=lambda steps: sum(steps.values()))

    def _own(self, found: _Found) -> Member:
        """The member whose width is the group's: a layer's output, if there is one."""
        members = tuple(self._members(found.kinds))
        chosen = [member for member in members if member.axis in self._traced.generators]
        return ([member for member in chosen if member.axis not in self._bare] or chosen or list(members))[0]

    def _name(self, found: _Found, taken: set[str]) -> str:
        own = self._own(found)
        name = own.axis.layer or own.axis.tensor
        if name in taken:
            name = f"{name}[{own.slices[0][0]}]"
        while name in taken:
            name += "'"
        taken.add(name)
        return name

    def _group(self, found: _Found, name: str) -> WidthGroup:
        own = self._own(found)
        return WidthGroup(
            name=name,
            width=own.positions,
            unit=found.steps.get(own.axis, 1),
            members=tuple(self._members(found.kinds)),
            steps=found.steps,
            settings=found.settings,
            rescaled=found.rescaled,
            frozen=found.frozen,
            keys=tuple(kind.key for kind in found.kinds),
        )

    def _members(self, kinds: tuple[Kind, ...]) -> Iterator[Member]:
        found: dict[Axis, list[np.ndarray]] = {}
        for kind in kinds:
            for axis, positions in kind.places(self._traced.atoms):
                found.setdefault(axis, []).append(positions.reshape(-1))
        for axis in sorted(found, key=lambda each: self._traced.atoms.of(each)[0]):
            size = len(self._traced.atoms.of(axis))
            yield Member(axis, size, _runs(np.sort(np.concatenate(found[axis]))))


def _positions(kinds: Iterable[Kind], axis: Axis) -> int:
    return sum(kind.count * kind.positions(axis) for kind in kinds)


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


def _runs(positions: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Ascending positions as half-open intervals."""
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    return tuple((int(run[0]), int(run[-1]) + 1) for run in np.split(positions, breaks))
