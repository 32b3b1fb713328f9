"""What a width group is: the widths of which layers move together, in which steps, and why some cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from headroom.change.widths.groups.stored import Axis


@dataclass(frozen=True)
class Member:
    """One axis of one stored tensor that a group lies along.

    ``slices`` are the positions that belong to the group, as half-open intervals: all of a convolution's output
    channels, or the part of its input channels that a concatenation brings from here.
    """

    axis: Axis
    size: int
    slices: tuple[tuple[int, int], ...]

    @property
    def positions(self) -> int:
        return sum(stop - start for start, stop in self.slices)


@dataclass(frozen=True)
class Setting:
    """An integer attribute of a module that code reads a width from: it moves by ``step`` with every unit."""

    module: str
    attribute: str
    value: int
    step: int


@dataclass(frozen=True)
class WidthGroup:
    """Widths that move together.

    ``name`` is the layer whose output width ``width`` is; where a zero-padded shortcut divides that layer's channels
    among several groups, it is followed by the place of the first, and ``width`` counts the group's own. A width
    moves by multiples of ``unit``. ``steps`` are the positions per unit of each axis whose size is chosen rather than
    taken from an input, ``settings`` attributes of the network's modules that move along. ``rescaled`` says that an
    attention divides its scores by the root of its heads' width, which its queries then make up for. ``frozen`` is the
    reason why the group cannot move; ``None`` for one whose moves are proved.
    """

    name: str
    width: int
    unit: int
    members: tuple[Member, ...]
    steps: Mapping[Axis, int]
    settings: tuple[Setting, ...] = ()
    rescaled: bool = False
    frozen: str | None = None
    #: Which kinds of channels a trace finds in the group.
    keys: tuple[Any, ...] = ()

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that change with the group."""
        return tuple(dict.fromkeys(member.axis.layer for member in self.members))

    def allows(self, width: int) -> bool:
        """Whether the group can be ``width`` wide."""
        return self.frozen is None and width >= self.unit and (width - self.width) % self.unit == 0

    def at(self, width: int) -> WidthGroup:
        """The group once it is ``width`` wide. Where its members' slices then lie, only a new search tells."""
        units = (width - self.width) // self.unit
        settings = tuple(replace(each, value=each.value + units * each.step) for each in self.settings)
        return replace(self, width=width, settings=settings)


@dataclass(frozen=True)
class WidthGroups:
    """All groups of a network. ``even`` names grouped convolutions that keep their number of groups."""

    groups: tuple[WidthGroup, ...]
    even: frozenset[str] = frozenset()

    @property
    def free(self) -> tuple[WidthGroup, ...]:
        """The groups that can move."""
        return tuple(group for group in self.groups if group.frozen is None)

    @property
    def frozen(self) -> tuple[WidthGroup, ...]:
        return tuple(group for group in self.groups if group.frozen is not None)

    def at(self, widths: Mapping[str, int]) -> WidthGroups:
        """The groups of the network once those in ``widths`` are as wide as it says."""
        moved = tuple(group.at(widths.get(group.name, group.width)) for group in self.groups)
        return replace(self, groups=moved)

    def __getitem__(self, name: str) -> WidthGroup:
        for group in self.groups:
            if group.name == name:
                return group
        raise KeyError(name)
