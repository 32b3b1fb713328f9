"""Give the groups of a network other widths: fewer channels by importance, or more that leave the function alone."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from headroom.change.widths.groups.classes import Kind, trace
from headroom.change.widths.groups.elastic import WidthError
from headroom.change.widths.groups.group import WidthGroup, WidthGroups
from headroom.change.widths.groups.layout import Choice, Filling, Growth, first_ones
from headroom.change.widths.groups.move import Move, moved
from headroom.change.widths.groups.proof import EQUAL, EQUAL_FLOAT32
from headroom.change.widths.groups.run import call, difference, evaluating, outputs, telling
from headroom.change.widths.groups.stored import Atoms, Axis
from headroom.errors import ModelError, UsageError

#: A score for every position of an axis; the channels with the largest sums are kept.
Importance = Mapping[Axis, np.ndarray]


def set_width(
    module: nn.Module,
    example_inputs: Any,
    groups: WidthGroups,
    name: str,
    width: int,
    *,
    importance: Importance | None = None,
    growth: Growth = Growth.ZERO,
    seed: int = 0,
) -> nn.Module:
    """One group at another width; see :func:`set_widths`."""
    return set_widths(module, example_inputs, groups, {name: width}, importance=importance, growth=growth, seed=seed)


def set_widths(
    module: nn.Module,
    example_inputs: Any,
    groups: WidthGroups,
    widths: Mapping[str, int],
    *,
    importance: Importance | None = None,
    growth: Growth = Growth.ZERO,
    seed: int = 0,
) -> nn.Module:
    """A copy of ``module`` in which the named groups are as wide as asked; the module stays as it is.

    A group that shrinks keeps its most important channels, in their order; without ``importance`` its first ones. A
    group that grows gets channels that ``growth`` fills; where no group shrinks, the outputs are then checked to be the
    same, in float64.

    Args:
        module: the network that ``groups`` were found in, or one of the same widths.
        example_inputs: as for :func:`.width_groups`.
        groups: what :func:`.width_groups` found.
        widths: new widths by the names of groups; the others stay.
        importance: scores of positions, for example :func:`.l1_importance`.
        growth: what new channels hold.
        seed: decides which channels are copied and what random ones hold.

    Raises:
        UsageError: no such group, a frozen one, or a width between two steps.
        ModelError: the network does not run at these widths, or computes something else although it only grew.
    """
    chosen = {name: _group(groups, name) for name in widths}
    move = _move(chosen, widths)
    rescale = frozenset(key for group in chosen.values() if group.rescaled for key in group.keys)
    # A copy runs, because a network may keep count of its runs.
    watched = copy.deepcopy(module)
    with evaluating(watched):
        before = trace(watched, lambda: call(watched, example_inputs), groups.even)
    choose = first_ones if importance is None else _by(importance, before.atoms)
    filling = Filling(growth, seed, rescale)
    try:
        changed = moved(module, example_inputs, before, move, groups.even, choose, filling)
    except WidthError as error:
        raise ModelError(f"the network cannot have these widths: {error}; move fewer groups at once") from error
    if all(width >= chosen[name].width for name, width in widths.items()):
        check_same_function(module, changed, example_inputs, exact=growth is not Growth.DUPLICATE and not rescale)
    return changed


def check_same_function(before: nn.Module, after: nn.Module, example_inputs: Any, *, exact: bool = True) -> None:
    """Check in float64 that two modules return the same; constant example inputs are replaced by random ones.

    ``exact`` allows no more than float64's rounding; without it weights may have been rounded in their own type.

    Raises:
        ModelError: they do not; it says by how much they differ.
    """
    inputs = telling(example_inputs, before, torch.Generator().manual_seed(0))
    first, second = (outputs(copy.deepcopy(module).cpu().double(), inputs) for module in (before, after))
    apart = difference(first, second)
    allowed = EQUAL if all(each.dtype == torch.float64 for each in first) else EQUAL_FLOAT32
    if not apart <= (allowed if exact else max(allowed, _rounding(before))):
        raise ModelError(f"the wider network's outputs differ by {100 * apart:.2g} % from the network's; discard it")


def _rounding(module: nn.Module) -> float:
    """What rounded weights can change of the outputs: a few dozen units in the last place."""
    types = {each.dtype for each in module.parameters() if each.is_floating_point()}
    return 64 * max((torch.finfo(each).eps for each in types), default=0.0)


def _group(groups: WidthGroups, name: str) -> WidthGroup:
    try:
        return groups[name]
    except KeyError:
        known = ", ".join(group.name for group in groups.free) or "none"
        raise UsageError(f"no width group is called {name!r}; those that can move are {known}") from None


def _move(chosen: Mapping[str, WidthGroup], widths: Mapping[str, int]) -> Move:
    deltas: dict[Axis, int] = {}
    moving: dict[Any, int] = {}
    settings: dict[tuple[str, str], int] = {}
    for name, group in chosen.items():
        width = widths[name]
        if group.frozen is not None:
            raise UsageError(f"the width of {name} is fixed: {group.frozen}")
        if not group.allows(width):
            below = group.width + (width - group.width) // group.unit * group.unit
            near = " or ".join(str(each) for each in (below, below + group.unit) if group.allows(each))
            raise UsageError(f"{name} cannot be {width} wide, because it moves by {group.unit}; take {near}")
        units = (width - group.width) // group.unit
        moving.update(dict.fromkeys(group.keys, int(math.copysign(1, units))) if units else {})
        for axis, step in group.steps.items():
            deltas[axis] = deltas.get(axis, 0) + units * step
        for each in group.settings:
            place = (each.module, each.attribute)
            settings[place] = settings.get(place, each.value) + units * each.step
    return Move(deltas, moving, settings)


def _by(importance: Importance, atoms: Atoms) -> Choice:
    def choose(kind: Kind, count: int) -> np.ndarray:
        score = np.zeros(kind.count)
        for axis, positions in kind.places(atoms):
            if axis in importance:
                score += np.asarray(importance[axis])[positions].sum(axis=1)
        return np.sort(np.argsort(-score, kind="stable")[:count])

    return choose
