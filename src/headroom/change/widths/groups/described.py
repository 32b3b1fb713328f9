"""Tell what a search found as width groups: their names, and the positions that each takes on its axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from headroom.change.widths.groups.classes import Kind, Traced
from headroom.change.widths.groups.group import Member, WidthGroup
from headroom.change.widths.groups.stored import Axis
from headroom.change.widths.groups.trials import Tried


def described(found: Sequence[Tried], traced: Traced, bare: frozenset[Axis]) -> Iterator[WidthGroup]:
    """A group for each, in their order; ``bare`` are axes that no group is called after if it has another."""
    members = {id(each): tuple(_members(each.kinds, traced)) for each in found}
    own = {id(each): _own(members[id(each)], traced, bare) for each in found}
    taken: set[str] = set()
    # Where two groups would have one name, the one that can move is the one to be asked for.
    in_turn = sorted(found, key=lambda each: each.frozen is not None)
    names = {id(each): _name(own[id(each)], taken) for each in in_turn}
    for each in found:
        yield _group(each, names[id(each)], own[id(each)], members[id(each)])


def _own(members: Sequence[Member], traced: Traced, bare: frozenset[Axis]) -> Member:
    """The member whose width is the group's: a layer's output, if there is one."""
    chosen = [member for member in members if member.axis in traced.generators]
    return ([member for member in chosen if member.axis not in bare] or chosen or list(members))[0]


def _name(own: Member, taken: set[str]) -> str:
    name = own.axis.layer or own.axis.tensor
    if name in taken:
        name = f"{name}[{own.slices[0][0]}]"
    while name in taken:
        name += "'"
    taken.add(name)
    return name


def _group(found: Tried, name: str, own: Member, members: tuple[Member, ...]) -> WidthGroup:
    return WidthGroup(
        name=name,
        width=own.positions,
        unit=found.steps.get(own.axis, 1),
        members=members,
        steps=found.steps,
        settings=found.settings,
        rescaled=found.rescaled,
        frozen=found.frozen,
        keys=tuple(kind.key for kind in found.kinds),
    )


def _members(kinds: Sequence[Kind], traced: Traced) -> Iterator[Member]:
    found: dict[Axis, list[np.ndarray]] = {}
    for kind in kinds:
        for axis, positions in kind.places(traced.atoms):
            found.setdefault(axis, []).append(positions.reshape(-1))
    for axis in sorted(found, key=lambda each: traced.atoms.of(each)[0]):
        size = len(traced.atoms.of(axis))
        yield Member(axis, size, _runs(np.sort(np.concatenate(found[axis]))))


def _runs(positions: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Ascending positions as half-open intervals."""
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    return tuple((int(run[0]), int(run[-1]) + 1) for run in np.split(positions, breaks))
