"""Measure what a choice of widths rests on: the pairs that it would take, until every one of them was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from headroom.advise.stored import StoredMeasurements
from headroom.change.widths.fit.choice import Asked, Goal
from headroom.change.widths.fit.network import Network
from headroom.change.widths.fit.plan import Plan, plan_of
from headroom.change.widths.fit.space import Space, space_of
from headroom.change.widths.fit.times import Clock
from headroom.change.widths.fit.uniform import round_ups
from headroom.change.widths.staircase.measuring import Stopwatch
from headroom.graph.chain import Chain
from headroom.graph.layer import Layer

#: Choices that are measured, one after the other; after so many the tables are what they are.
MOST_ROUNDS = 40


@dataclass
class _Measured:
    """Layers that the stopwatch has seen: one that cannot be timed is not asked for again."""

    watch: Stopwatch
    on_layer: Callable[[str], None]
    seen: set[str] = field(default_factory=set)

    def all_of(self, layers: Iterator[tuple[str, int, Layer]]) -> bool:
        """Measure what is new, beside each other; whether anything was."""
        new: list[tuple[int, Layer]] = []
        for name, width, layer in layers:
            digest = Chain.of([layer]).digest
            if digest not in self.seen:
                self.seen.add(digest)
                self.on_layer(f"{name} at {width} outputs")
                new.append((width, layer))
        self.watch.points(new)
        return bool(new)


def measured_plan(
    network: Network,
    goal: Goal,
    asked: Asked,
    watch: Stopwatch,
    *,
    on_layer: Callable[[str], None] = lambda what: None,
    most_rounds: int = MOST_ROUNDS,
) -> Plan:
    """Choose, measure what was chosen, and choose again with what is known now, until a choice is all measured.

    Predictions only say where to look: a choice that rests on one that is too hopeful is measured and loses. The
    network as it is and its round-ups are measured first. Every layer is in the database as soon as it is done.

    Args:
        on_layer: told each layer before it is measured.

    Raises:
        GpuError: the worker cannot be started or replaced.
        StoreError: the database cannot be read or written.
    """
    measured = _Measured(watch, on_layer)
    known = StoredMeasurements(watch.records, watch.system)
    clock = Clock(watch.gpu, watch.dtype, watch.l2, known)
    measured.all_of((layer.name, 0, layer) for layer in network.graph.layers if layer.kind.does_work)
    space = space_of(network, clock, goal.bounds)
    if goal.lossless:
        measured.all_of(found for each in round_ups(space) for found in _layers_at(space, each.widths))
    plan = plan_of(space_of(network, clock, goal.bounds), goal, asked)
    for _ in range(most_rounds):
        if not measured.all_of(_layers_at(plan.space, plan.widths)):
            break
        plan = plan_of(space_of(network, clock, goal.bounds), goal, asked)
    return plan


def _layers_at(space: Space, widths: Mapping[str, int]) -> Iterator[tuple[str, int, Layer]]:
    """Every layer that groups move, as it is at these widths."""
    told = {**space.network.widths, **widths}
    for wide in space.network.layers:
        layer = wide.at(wide.inputs.at(told), wide.outputs.at(told))
        assert layer is not None
        yield wide.name, wide.outputs.at(told), layer
    for rider in space.riders:
        width = rider.width.at(told)
        yield rider.layer.name, width, replace(rider.at(width), name=rider.layer.name)
