"""The space of widths that a network can have: candidates of every group, and what each choice takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from headroom.change.widths.fit.candidates import Bounds, candidates_of, summed, thinned
from headroom.change.widths.fit.network import Network, WideLayer
from headroom.change.widths.fit.riders import Rider, riders_of
from headroom.change.widths.fit.sums import pairs_of, totals
from headroom.change.widths.fit.times import Clock, Pair, has_times
from headroom.change.widths.solve.problem import ChoosableWidth, LayerTable, Width, WidthProblem
from headroom.change.widths.staircase.curve import Point
from headroom.errors import UsageError


@dataclass(frozen=True)
class TimedLayer:
    """A layer, or a rider, with its time at every pair of widths that the candidates make."""

    name: str
    inputs: Width
    outputs: Width
    points: Mapping[Pair, Point]
    #: The layer of the graph that has widths of its own; ``None`` for riders, taken together where equally wide.
    wide: WideLayer | None = None
    #: Names of the weights whose parameters count here: those that no earlier layer shares.
    counted: frozenset[str] = frozenset()

    def at(self, widths: Mapping[str, int]) -> Point:
        """What it takes where groups are as wide as ``widths`` says.

        Raises:
            UsageError: no time is known there.
        """
        pair = (self.inputs.at(widths), self.outputs.at(widths))
        has_times(self.points, pair, self.name)
        return self.points[pair]

    @property
    def table(self) -> LayerTable:
        times_us = {pair: point.latency_us for pair, point in self.points.items()}
        return LayerTable(
            self.name,
            self.inputs,
            self.outputs,
            times_us,
            parameters={pair: self._parameters(pair) for pair in times_us},
        )

    def _parameters(self, pair: Pair) -> int:
        """Those of a layer with widths of its own; scales and offsets that follow it are next to none."""
        layer = None if self.wide is None else self.wide.at(*pair)
        weights = () if layer is None else layer.weights
        return sum(math.prod(weight.shape) for weight in weights if weight.name in self.counted)


@dataclass(frozen=True)
class Space:
    """What can be chosen: per group its candidate widths (section 4.4 of the tail-effect paper), and times.

    ``held`` gives the reason why a group is not offered another width. ``fixed_us`` is what layers take whose time no
    group moves, ``fixed_error_us`` its error bar.
    """

    network: Network
    clock: Clock
    riders: tuple[Rider, ...]
    layers: tuple[TimedLayer, ...]
    choices: Mapping[str, tuple[int, ...]]
    held: Mapping[str, str]
    fixed_us: float
    fixed_error_us: float

    @property
    def candidates(self) -> dict[str, tuple[int, ...]]:
        """The widths to choose from, by the groups that can move; the present one is always among them."""
        return {name: choices for name, choices in self.choices.items() if len(choices) > 1}

    @property
    def present(self) -> dict[str, int]:
        """The network's own widths of every group that is offered another."""
        return {name: self.network.groups[name].width for name in self.candidates}

    @cached_property
    def problem(self) -> WidthProblem:
        """The choice as the solvers take it."""
        groups = tuple(
            ChoosableWidth(name, self.network.groups[name].width, choices) for name, choices in self.choices.items()
        )
        return WidthProblem(groups, tuple(layer.table for layer in self.layers))

    @property
    def most_parameters(self) -> int | None:
        """The unpruned network's, where it is known; never less than the present ones."""
        ceiling = self.network.ceiling
        return None if ceiling is None else max(ceiling.parameters, self.problem.total_parameters(self.problem.current))

    def full(self, widths: Mapping[str, int]) -> dict[str, int]:
        """``widths`` with the present one of every group that it leaves out.

        Raises:
            UsageError: it names a group that is none of the candidates'.
        """
        strange = next(iter(widths.keys() - self.choices.keys()), None)
        if strange is not None:
            raise UsageError(f"no width group called {strange!r} can be chosen; those are {', '.join(self.candidates)}")
        return {**{name: self.network.groups[name].width for name in self.choices}, **widths}

    def time_us(self, widths: Mapping[str, int]) -> float:
        """What the network takes at these widths, one layer after the other; groups left out stay as they are.

        Raises:
            UsageError: no such group, or a width that is none of its candidates.
        """
        return self.fixed_us + self.problem.total_us(self.full(widths))

    def error_us(self, widths: Mapping[str, int]) -> float:
        """The error bar of :meth:`time_us`: layers of one network err together, so that theirs add up."""
        points = (layer.at(self.full(widths)) for layer in self.layers)
        return self.fixed_error_us + sum(0.01 * point.error_pct * point.latency_us for point in points)


def space_of(network: Network, clock: Clock, bounds: Bounds) -> Space:
    """The candidates of every group between ``bounds``, and the times of all layers at every pair they make.

    Raises:
        UsageError: a layer has no time at its own widths.
    """
    riders = riders_of(network)
    choices, held = thinned(network, riders, candidates_of(network, riders, clock, bounds))
    layers = [_timed(*each, clock, choices) for each in zip(network.layers, _counted(network.layers), strict=True)]
    theory = replace(clock, measured_only=False)
    layers += _riding(riders, theory, choices)
    for layer in layers:
        layer.at(network.widths)
    timed = {id(each.layer) for each in network.layers} | {id(each.layer) for each in riders}
    rest = [layer for layer in network.graph.layers if layer.kind.does_work and id(layer) not in timed]
    fixed = [point for layer in rest for point in theory.points([((1, 1), layer)]).values()]
    return Space(
        network=network,
        clock=clock,
        riders=riders,
        layers=tuple(layers),
        choices=choices,
        held={**network.fixed, **held},
        fixed_us=sum(point.latency_us for point in fixed),
        fixed_error_us=sum(0.01 * point.error_pct * point.latency_us for point in fixed),
    )


def _counted(layers: Iterable[WideLayer]) -> list[frozenset[str]]:
    """The weights of each layer that none before it has: a module that runs twice has its parameters once."""
    known: set[str] = set()
    found = []
    for wide in layers:
        found.append(frozenset(weight.name for weight in wide.layer.weights) - known)
        known |= found[-1]
    return found


def _timed(wide: WideLayer, counted: frozenset[str], clock: Clock, choices: Mapping[str, Sequence[int]]) -> TimedLayer:
    at = {pair: wide.at(*pair) for pair in pairs_of(wide.inputs, wide.outputs, choices)}
    points = clock.points([(pair, layer) for pair, layer in at.items() if layer is not None])
    return TimedLayer(wide.name, wide.inputs, wide.outputs, points, wide, counted)


def _riding(riders: Iterable[Rider], clock: Clock, choices: Mapping[str, Sequence[int]]) -> list[TimedLayer]:
    """Riders of one width as one layer: their times depend on nothing else."""
    alike: dict[tuple[object, ...], list[Rider]] = {}
    for rider in riders:
        alike.setdefault((rider.width.fixed, *sorted(rider.width.parts.items())), []).append(rider)
    found = []
    for together in alike.values():
        width = together[0].width
        times = [
            clock.points([((each, each), rider.at(each)) for each in totals(width, choices)]) for rider in together
        ]
        points = {
            pair: summed(pair[1], [time[pair] for time in times])
            for pair in times[0]
            if all(pair in time for time in times)
        }
        found.append(TimedLayer(f"what follows the width of {together[0].layer.name}", width, width, points))
    return found
