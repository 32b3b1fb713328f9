"""Integer attributes that a module's own code reads widths from, found by what their values could mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from torch import nn

from headroom.change.widths.groups.classes import Kind
from headroom.change.widths.groups.elastic import ADAPTING
from headroom.change.widths.groups.group import Setting
from headroom.change.widths.groups.stored import Axis

#: Tries per step; each costs a few runs of the network.
_MOST = 24


def possible_settings(
    module: nn.Module, kinds: Sequence[Kind], steps: Mapping[Axis, int]
) -> Iterator[tuple[Setting, ...]]:
    """Sets of attributes to move along, the likeliest first: one alone, then two together.

    A width is kept as it is (``hidden``), as a share of it (``head_width``), or as a difference of two (the channels
    that a zero-padded shortcut adds). Which of them an attribute is, the proof decides.
    """
    ranked = sorted(_guesses(module, kinds, steps), key=lambda guess: guess[0])
    pairs = [
        (one[0] + two[0], (one[1], two[1]))
        for one, two in combinations(ranked, 2)
        if (one[1].module, one[1].attribute) != (two[1].module, two[1].attribute)
    ]
    pairs.sort(key=lambda pair: pair[0])
    yield from [*((each,) for _, each in ranked), *(pair for _, pair in pairs)][:_MOST]


def _guesses(module: nn.Module, kinds: Sequence[Kind], steps: Mapping[Axis, int]) -> Iterator[tuple[int, Setting]]:
    """What each attribute could be, with a rank: shares of the width first."""
    widths = {axis: sum(kind.count * kind.positions(axis) for kind in kinds) for axis in steps}
    for owner, attribute, value in _integers(module, {axis.layer for kind in kinds for axis, _ in kind.spans}):
        found: dict[int, int] = {}
        for axis, step in steps.items():
            width = widths[axis]
            if value and width % value == 0 and step % (width // value) == 0:
                found[step // (width // value)] = 0
        for step in steps.values():
            found.setdefault(step, 1)
            found.setdefault(-step, 1)
        for step, rank in found.items():
            yield rank, Setting(owner, attribute, value, step)


def _integers(module: nn.Module, layers: set[str]) -> Iterator[tuple[str, str, int]]:
    """Integer attributes of the modules around ``layers``, the innermost first."""
    around = {name for layer in layers for name in _enclosing(layer)}
    for name in sorted(around, key=lambda each: (-each.count("."), each)):
        owner: Any = module.get_submodule(name)
        if not isinstance(owner, ADAPTING):
            for attribute, value in vars(owner).items():
                if type(value) is int and not attribute.startswith("_") and abs(value) > 1:
                    yield name, attribute, value


def _enclosing(layer: str) -> Iterator[str]:
    while layer:
        layer = layer.rpartition(".")[0]
        yield layer
