"""Try in which steps some kinds of channels can move together, each proved on a copy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from headroom.change.widths.groups.classes import Kind, Traced
from headroom.change.widths.groups.elastic import OutputError, SilentError, WidthError
from headroom.change.widths.groups.group import Setting
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
class Tried:
    """A set of kinds that moves together, the steps that it moves in, or why it does not."""

    kinds: tuple[Kind, ...]
    steps: dict[Axis, int]
    settings: tuple[Setting, ...] = ()
    rescaled: bool = False
    frozen: str | None = None


class Trials:
    """What is tried on one network; ``chosen`` are the axes whose size may be set, which all others follow."""

    def __init__(
        self, module: nn.Module, inputs: Any, traced: Traced, even: frozenset[str], chosen: frozenset[Axis]
    ) -> None:
        self._module = module
        self._inputs = inputs
        self._traced = traced
        self._even = even
        self._chosen = chosen
        self._stands: dict[int, Stand] = {}

    def attempt(self, kinds: tuple[Kind, ...], with_settings: bool = False) -> Tried:
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
                        return Tried(kinds, steps, settings, rescaled)
                    reasons.append(str(refused))
                    computes_otherwise |= isinstance(refused, OutputError | SilentError)
                    if not (isinstance(refused, OutputError) and self._has_queries(kinds)):
                        break
        return Tried(kinds, {}, frozen=reasons[0] if reasons else "no layer chooses this width")

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


def _positions(kinds: Iterable[Kind], axis: Axis) -> int:
    return sum(kind.count * kind.positions(axis) for kind in kinds)
