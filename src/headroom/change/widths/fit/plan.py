"""The plan: which widths move, where each layer stands before and after, and what it gains."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from headroom.change.widths.fit.choice import Asked, Choice, Goal
from headroom.change.widths.fit.space import Space, TimedLayer
from headroom.change.widths.fit.stands import Stand, stand_of
from headroom.change.widths.fit.times import Pair
from headroom.change.widths.fit.uniform import RoundUp, round_ups
from headroom.change.widths.staircase.curve import Point
from headroom.change.widths.staircase.steps import Trend
from headroom.predict.prediction import Source

#: Sums of times in another order are equal.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class GroupMove:
    """A group's width before and after. ``reason`` says why it could not move, where it could not."""

    name: str
    before: int
    after: int
    layers: tuple[str, ...]
    candidates: tuple[int, ...] = ()
    reason: str | None = None

    @property
    def moves(self) -> bool:
        return self.after != self.before


@dataclass(frozen=True)
class LayerChange:
    """A layer at its widths before and after, as (input width, output width), and what it takes there."""

    timed: TimedLayer
    widths: tuple[Pair, Pair]
    points: tuple[Point, Point]

    @property
    def name(self) -> str:
        return self.timed.name

    @property
    def changes(self) -> bool:
        return self.widths[0] != self.widths[1]

    @property
    def gain_us(self) -> float:
        return self.points[0].latency_us - self.points[1].latency_us

    @property
    def error_us(self) -> float:
        """Error bar of the gain. The two times err apart from each other as far as is known."""
        bars = (0.01 * point.error_pct * point.latency_us for point in self.points)
        return math.hypot(*bars) if self.changes else 0.0


@dataclass(frozen=True)
class Plan:
    """What :func:`plan_of` chose."""

    goal: Goal
    asked: Asked
    space: Space
    choice: Choice
    round_ups: tuple[RoundUp, ...]

    @cached_property
    def widths(self) -> dict[str, int]:
        """The new widths of the groups that move."""
        present = self.space.problem.current
        return {name: width for name, width in self.choice.widths.items() if width != present[name]}

    @cached_property
    def groups(self) -> tuple[GroupMove, ...]:
        """Every group, in the order of the network's layers."""
        found = []
        for group in self.space.network.groups.groups:
            after = self.widths.get(group.name, group.width)
            candidates = self.space.candidates.get(group.name, ())
            reason = self.space.held.get(group.name)
            found.append(GroupMove(group.name, group.width, after, group.layers, candidates, reason))
        return tuple(found)

    @cached_property
    def layers(self) -> tuple[LayerChange, ...]:
        """Every layer whose time groups move, those that only follow them included."""
        network = self.space.network
        sides: tuple[Mapping[str, int], ...] = (network.widths, {**network.widths, **self.widths})
        found = []
        for timed in self.space.layers:
            before, after = ((timed.inputs.at(widths), timed.outputs.at(widths)) for widths in sides)
            points = tuple(timed.points[pair] for pair in (before, after))
            found.append(LayerChange(timed, (before, after), (points[0], points[1])))
        return tuple(found)

    @property
    def before_us(self) -> float:
        """The network as it is, one layer after the other."""
        return self.space.time_us({})

    @property
    def after_us(self) -> float:
        return self.space.time_us(self.widths)

    @property
    def gain_us(self) -> float:
        return self.before_us - self.after_us

    @property
    def error_us(self) -> float:
        """Error bar of the gain: layers of one network err together, so that theirs add up."""
        return sum(layer.error_us for layer in self.layers)

    @property
    def helps(self) -> bool:
        """Whether anything moves, and the network is faster for it, or has more parameters and is no slower."""
        before, after = self.choice.parameters or (0, 0)
        grows = after > before and self.gain_us >= -_ROUNDING * self.before_us
        return bool(self.widths) and (self.gain_us > 0 or grows)

    @property
    def certain(self) -> bool:
        """Whether the gain is larger than its error bar."""
        return self.helps and self.gain_us > self.error_us

    @property
    def best_round_up(self) -> RoundUp | None:
        return min(self.round_ups, key=lambda each: each.time_us, default=None)

    @property
    def asks_measurements(self) -> bool:
        """Whether any time was measured, or scaled to meet one that was."""
        points = (point for layer in self.layers for point in layer.points)
        return any(point.source in (Source.MEASURED, Source.INTERPOLATED) for point in points)

    @cached_property
    def stands(self) -> tuple[Stand | None, ...]:
        """Where each of ``layers`` stands on its staircases (Figure 7 of the paper); ``None`` for one without widths of
        its own."""
        return tuple(stand_of(layer.timed, layer.widths, self.space.clock) for layer in self.layers)

    @cached_property
    def untold(self) -> tuple[LayerChange, ...]:
        """Layers whose outputs grow to a width of which a prediction says that half of it takes as long.

        Work doubles over such an interval: whether time stays is for a measurement to say.
        """
        return tuple(
            layer
            for layer, stand in zip(self.layers, self.stands, strict=True)
            if stand is not None
            and layer.widths[1][1] > layer.widths[0][1]
            and layer.points[1].source is not Source.MEASURED
            and stand.after.interval.trend is Trend.STEADY
            and 2 * stand.after.interval.first <= layer.widths[1][1]
        )


def plan_of(space: Space, goal: Goal, asked: Asked | None = None) -> Plan:
    """Choose widths for ``goal``.

    Raises:
        UsageError: what was asked does not go with the goal.
    """
    asked = asked or Asked()
    choice = goal.choose(space, asked)
    return Plan(goal, asked, space, choice, round_ups(space) if goal.lossless else ())
