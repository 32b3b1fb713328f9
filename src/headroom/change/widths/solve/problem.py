"""What a choice of widths is about: groups that can be so or so wide, and layers whose times depend on them."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from headroom.errors import UsageError


class Count(enum.Enum):
    """What a parameter gain counts."""

    #: Channels, each with its group's weight, as equation 5b has it.
    CHANNELS = "channels"
    #: Parameters as the tables have them: a channel counts the more, the wider its neighbours are.
    PARAMETERS = "parameters"


@dataclass(frozen=True)
class ChoosableWidth:
    """One group: how wide it is, how wide it could be, and what a channel of it counts as a parameter gain.

    ``current`` is always one of the choices, whether ``candidates`` names it or not. ``weight`` is 1 where the paper's
    equation 5b is meant, which counts channels; give parameters per channel to count parameters.
    """

    name: str
    current: int
    candidates: tuple[int, ...]
    weight: float = 1.0

    @cached_property
    def choices(self) -> tuple[int, ...]:
        """Every width it can have, ascending."""
        return tuple(sorted({*self.candidates, self.current}))


@dataclass(frozen=True)
class Width:
    """A layer's input or output width: so many channels that stay, and shares of the widths of groups.

    A concatenation reads several groups; an output projection behind fused queries, keys and values a third of one.
    """

    fixed: int = 0
    parts: Mapping[str, Fraction] = field(default_factory=dict)

    def at(self, widths: Mapping[str, int]) -> int:
        """The width where groups are as wide as ``widths`` says."""
        total = self.fixed + sum((share * widths[name] for name, share in self.parts.items()), Fraction(0))
        if total.denominator != 1:
            raise UsageError(f"shares of {', '.join(self.parts)} make no whole number of channels; choose other widths")
        return int(total)


@dataclass(frozen=True)
class LayerTable:
    """A layer, or ``count`` equal ones, and its time in µs by (input width, output width).

    ``parameters`` are those of one such layer by the same pairs; only who maximises parameters needs them.
    """

    name: str
    inputs: Width
    outputs: Width
    times_us: Mapping[tuple[int, int], float]
    count: int = 1
    parameters: Mapping[tuple[int, int], int] = field(default_factory=dict)

    def time_us(self, widths: Mapping[str, int]) -> float:
        """The time at these widths.

        Raises:
            UsageError: the table has no such pair.
        """
        pair = (self.inputs.at(widths), self.outputs.at(widths))
        if pair not in self.times_us:
            raise UsageError(f"{self.name} has no time at {pair[0]} inputs and {pair[1]} outputs; measure that pair")
        return self.count * self.times_us[pair]

    def parameters_at(self, widths: Mapping[str, int]) -> int:
        """The parameters at these widths.

        Raises:
            UsageError: nobody has said how many they are.
        """
        pair = (self.inputs.at(widths), self.outputs.at(widths))
        if pair not in self.parameters:
            raise UsageError(f"{self.name} has no count of parameters at {pair[0]} inputs and {pair[1]} outputs")
        return self.count * self.parameters[pair]


@dataclass(frozen=True)
class WidthProblem:
    """Groups and the layers between them.

    Raises:
        UsageError: two groups of one name, a layer of a group that is not there, a table without times, or times and
            weights that are no finite numbers.
    """

    groups: tuple[ChoosableWidth, ...]
    layers: tuple[LayerTable, ...]

    def __post_init__(self) -> None:
        names = {group.name for group in self.groups}
        if len(names) < len(self.groups):
            raise UsageError("two width groups have one name; give each a name of its own")
        for group in self.groups:
            if not math.isfinite(group.weight):
                raise UsageError(f"a channel of {group.name} counts as {group.weight}; give a finite weight")
        for layer in self.layers:
            strange = next(iter({*layer.inputs.parts, *layer.outputs.parts} - names), None)
            if strange is not None:
                raise UsageError(f"{layer.name} follows {strange}, which is none of the groups; add that group")
            if not layer.times_us:
                raise UsageError(f"{layer.name} has no times; measure it at its current widths")
            for pair, time_us in layer.times_us.items():
                if not 0 <= time_us < math.inf:
                    raise UsageError(f"{layer.name} takes {time_us} µs at {pair}; leave that pair out of its table")

    @property
    def current(self) -> dict[str, int]:
        return {group.name: group.current for group in self.groups}

    def has_times(self, widths: Mapping[str, int]) -> bool:
        """Whether every layer has a time at these widths."""
        try:
            self.total_us(widths)
        except UsageError:
            return False
        return True

    def total_us(self, widths: Mapping[str, int]) -> float:
        """The sum of all layers' times."""
        return sum(layer.time_us(widths) for layer in self.layers)

    def total_parameters(self, widths: Mapping[str, int]) -> int:
        """The sum of all layers' parameters."""
        return sum(layer.parameters_at(widths) for layer in self.layers)

    def gain(self, widths: Mapping[str, int]) -> float:
        """The parameter gain: new minus old widths, weighted.

        Equation 5b of the tail-effect paper has old minus new; its prose calls the gain negative where a layer is
        scaled down, and equation 6 maximises it as a gain of accuracy. Both need new minus old.
        """
        return sum(group.weight * (widths[group.name] - group.current) for group in self.groups)
