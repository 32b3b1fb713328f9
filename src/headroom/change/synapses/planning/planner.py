"""The story: read the network, time its layers along K, search, judge each way by itself, compose. It loads PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from headroom.advise.timed import TimedGraph
from headroom.change.synapses.planning.batches import Batches
from headroom.change.synapses.planning.clock import Clock, Time
from headroom.change.synapses.planning.front import front_of
from headroom.change.synapses.planning.judge import Judge
from headroom.change.synapses.planning.layers import groups_of, places_of
from headroom.change.synapses.planning.losses import LossMeter
from headroom.change.synapses.planning.study import LayerStudy, Study
from headroom.change.synapses.planning.timing import Stopwatch
from headroom.change.synapses.planning.together import Together
from headroom.change.synapses.planning.ways import Settings
from headroom.change.training import Trainer
from headroom.errors import ModelError, UsageError
from headroom.graph.graph import Graph
from headroom.predict.prediction import Source

#: Layers whose reason to stay dense is told where none is left.
_REASONS = 3

Tell = Callable[[str], None]
#: The slim layers behind a study, by the layer's name and its way's place among its ways.
Modules = Mapping[tuple[str, int], nn.Module]


@dataclass(frozen=True, eq=False)
class Planned:
    """A study, and the slim layers that make any of its points."""

    study: Study
    modules: Modules
    meter: LossMeter


def plan(
    network: nn.Module,
    example: torch.Tensor,
    graph: Graph,
    clock: Clock,
    batches: Batches,
    settings: Settings,
    *,
    finetune: Trainer | None = None,
    stopwatch: Stopwatch | None = None,
    tell: Tell = lambda doing: None,
) -> Planned:
    """Every layer's ways and the front over them.

    Args:
        network: stays as it is; on the CPU, like ``example``.
        graph: the network at the batch that times are for.
        finetune: tunes every way by itself, so that any combination of them is a tuned network.
        stopwatch: measures every way; without it times are the clock's, and the column grain, which nothing but our
            own kernel runs, has none.
        tell: told what is done next.

    Raises:
        ModelError: the network does not run on the batches, or the tuning fails.
        UsageError: the network has no layer that could lose synapse vectors.
    """
    tell("running the dense network")
    network = copy.deepcopy(network).eval()
    judge = Judge(network, copy.deepcopy(network), LossMeter(network, batches), batches, settings, finetune, stopwatch)
    tell("looking for producers that nobody else reads")
    groups, why = groups_of(network, example)
    places, stays = places_of(network, graph, groups)
    if not places:
        why = "; ".join(f"{name}: {reason}" for name, reason in list(stays.items())[:_REASONS])
        raise UsageError(
            f"{graph.name} has no linear layer or convolution to take synapse vectors from{f' ({why})' if why else ''}"
        )
    modules: dict[tuple[str, int], nn.Module] = {}
    studies = []
    for place in places:
        tell(f"searching {place.name}")
        try:
            layer, found = judge.study(place, clock.along_k(place.layer))
        except ModelError as error:
            raise ModelError(f"{place.name}: {error}") from error
        studies.append(layer)
        modules.update({(place.name, number): module for number, module in found.items()})
    timed = _timed(graph, clock)
    rest = _rest(timed, {place.name for place in places})
    together = Together(tuple(studies), [place.layer for place in places], clock, rest)
    study = Study(
        model=graph.name,
        gpu=clock.gpu.id,
        gpu_name=clock.gpu.name,
        dtype=clock.dtype.value,
        batch=graph.batch,
        l2=clock.l2,
        system=_asked_system(clock, studies, timed),
        layers=tuple(studies),
        rest_us=rest.time_us,
        loss=judge.meter.loss,
        front=front_of(studies, together, judge.meter.loss.most_points),
        stays=tuple(stays.items()),
        notes=(*batches.notes, *([why] if why else [])),
    )
    return Planned(study, modules, judge.meter)


def _timed(graph: Graph, clock: Clock) -> TimedGraph:
    """Every layer's time as an analysis has it."""
    timed = TimedGraph.predict(graph, clock.gpu, clock.dtype, clock.l2)
    return timed if clock.measurements is None else timed.measured_by(clock.measurements)


def _rest(timed: TimedGraph, studied: set[str]) -> Time:
    """What all layers take together that are not studied."""
    others = [number for number, layer in enumerate(timed.graph.layers) if layer.module not in studied]
    return Time(sum(timed.times_us[number] for number in others), timed.error_pct(others), Source.PREDICTED)


def _asked_system(clock: Clock, studies: list[LayerStudy], timed: TimedGraph) -> str | None:
    """The system whose rows any figure goes back to."""
    used = any(timed.timings) or any(layer.dense.source is not Source.PREDICTED for layer in studies)
    return clock.measurements.system.title if clock.measurements is not None and used else None
