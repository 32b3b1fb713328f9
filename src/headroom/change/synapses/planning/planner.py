"""The story: read the network, time its layers along K, search, judge each way by itself, compose. It loads PyTorch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from headroom.advise.timed import TimedGraph
from headroom.change.synapses.planning.batches import Batches
from headroom.change.synapses.planning.clock import SHARES, AlongK, Clock, Time, times
from headroom.change.synapses.planning.front import front_of
from headroom.change.synapses.planning.layers import Place, groups_of, places_of
from headroom.change.synapses.planning.losses import LossMeter
from headroom.change.synapses.planning.stand_ins import options_of
from headroom.change.synapses.planning.study import LayerStudy, Study, Way
from headroom.change.synapses.planning.timing import Size, Stopwatch
from headroom.change.synapses.planning.together import Together
from headroom.change.synapses.planning.tuning import tuned_alone
from headroom.change.synapses.planning.ways import Sampled, Settings, at_threshold, made, sampled, selections
from headroom.change.synapses.search import Selection, keep_at_least
from headroom.change.synapses.slim import put
from headroom.change.synapses.vectors import Grain
from headroom.change.training import Trainer
from headroom.errors import UsageError
from headroom.graph.graph import Graph
from headroom.predict.prediction import Source

#: Least gain in time, as a share, for which a layer is changed at all.
WORTH = 0.01
#: Columns of an im2col matrix that a kernel multiplies at a time.
COLUMN_TILE = 32

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
    work = _Work(network, copy.deepcopy(network), LossMeter(network, batches), batches, settings, finetune, stopwatch)
    tell("looking for producers that nobody else reads")
    groups, why = groups_of(network, example)
    places, stays = places_of(network, graph, groups)
    if not places:
        raise UsageError(f"{graph.name} has no linear layer or convolution without groups to take synapse vectors from")
    modules: dict[tuple[str, int], nn.Module] = {}
    studies = []
    for place in places:
        tell(f"searching {place.name}")
        layer, found = work.study(place, clock.along_k(place.layer))
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
        loss=work.meter.loss,
        front=front_of(studies, together),
        stays=tuple(stays.items()),
        notes=(*batches.notes, *([why] if why else [])),
    )
    return Planned(study, modules, work.meter)


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


@dataclass(frozen=True, eq=False)
class _Work:
    """What judging a way needs. ``trial`` is a copy whose layers are put in and taken out again."""

    network: nn.Module
    trial: nn.Module
    meter: LossMeter
    batches: Batches
    settings: Settings
    finetune: Trainer | None
    stopwatch: Stopwatch | None

    def study(self, place: Place, along: AlongK) -> tuple[LayerStudy, dict[int, nn.Module]]:
        """The ways of a layer that are faster than the dense one, and the slim layers behind them."""
        layers = [sampled(self.network, place, place.grain, self.batches, self.settings)]
        notes = [_no_time_yet(layers[0])]
        if self.stopwatch is not None and place.grain is Grain.CHANNEL and place.module.padding_mode == "zeros":
            layers.append(sampled(self.network, place, Grain.COLUMN, self.batches, self.settings))
            notes = []
        tried = [_Tried(layer, selection) for layer in layers for selection in self._selections(layer, along)]
        dense, taken = self._times(place, along, tried)
        ways = [Way(None, along.own, along.own, None, dense.time_us, dense.error_pct, dense.source)]
        modules: dict[int, nn.Module] = {}
        for each, (time, gather_us) in zip(tried, taken, strict=True):
            if time.time_us > dense.time_us * (1 - WORTH):
                continue
            module, output_error = each.module(self.batches)
            way, module = self._judged(place, each, module, time)
            if math.isfinite(way.loss_points):
                modules[len(ways)] = module
                ways.append(replace(way, output_error=output_error, gather_us=gather_us))
        notes += [note for layer in layers for note in layer.notes]
        if len(ways) == 1:
            notes.append("it stays dense: no way to run it with fewer synapse vectors is faster")
        producers = place.producers
        used = layers[0]
        return (
            LayerStudy(
                name=place.name,
                kind=str(place.layer.kind),
                ways=tuple(ways),
                producers=producers,
                correlated=used.correlate.value,
                transform=used.transform.value,
                notes=tuple(dict.fromkeys(note for note in notes if note)),
            ),
            modules,
        )

    def _selections(self, layer: Sampled, along: AlongK) -> list[Selection]:
        """Who stays, at counts that are worth having; each count once, and never all."""
        worth = along.up_to if layer.grain is not Grain.COLUMN else _whole_tiles
        if self.settings.threshold is not None:
            found = [at_threshold(layer, self.settings.threshold)]
        else:
            counts = along.candidates() if layer.grain is not Grain.COLUMN else _columns(layer.vectors)
            found = selections(layer, counts)
        counted = {}
        for selection in found:
            count = worth(max(1, len(selection.retained)))
            if count < layer.vectors:
                counted[count] = keep_at_least(selection, count)
        return list(counted.values())

    def _times(self, place: Place, along: AlongK, tried: list[_Tried]) -> tuple[Time, list[tuple[Time, float]]]:
        """The dense layer's time; and each other's with its gather's share: measured, or the clock's."""
        if self.stopwatch is not None:
            sizes = [
                Size(grain, len(each.selection.retained), place.group is None or not grain.is_whole)
                for each in tried
                for grain in (each.layer.grain,)
            ]
            dense, *found = self.stopwatch(place.layer, options_of(place.module), sizes)
            return times(dense, place.count), [(times(time, place.count), 0.0) for time in found]
        taken = []
        for each in tried:
            count = len(each.selection.retained)
            time, gather_us = along.at(count), 0.0
            if place.group is None:
                gather = along.clock.gather(place.layer, count)
                time, gather_us = time.plus(gather), gather.time_us * place.count
            taken.append((times(time, place.count), gather_us))
        return times(along.dense, place.count), taken

    def _judged(self, place: Place, each: _Tried, module: nn.Module, time: Time) -> tuple[Way, nn.Module]:
        """The way with what it loses, tuned by itself where there is a function to tune with."""
        put(self.trial, place.name, module)
        try:
            if self.finetune is not None:
                module = tuned_alone(self.trial, place.name, self.finetune)
                put(self.trial, place.name, module)
            loss = self.meter.of(self.trial)
        finally:
            put(self.trial, place.name, place.module)
        way = Way(
            grain=each.layer.grain,
            vectors=each.layer.vectors,
            retained=len(each.selection.retained),
            alpha=each.selection.alpha,
            time_us=time.time_us,
            error_pct=time.error_pct,
            source=time.source,
            loss_points=loss,
            tuned=self.finetune is not None,
        )
        return way, module


@dataclass(frozen=True, eq=False)
class _Tried:
    """A layer and who stays of its synapse vectors."""

    layer: Sampled
    selection: Selection

    def module(self, batches: Batches) -> tuple[nn.Module, float]:
        return made(self.layer, self.selection, random=batches.random)


def _columns(vectors: int) -> list[int]:
    """Counts of im2col columns to look at, ascending."""
    return sorted({_whole_tiles(round(share * vectors)) for share in SHARES} - {0})


def _whole_tiles(count: int) -> int:
    """Rounded up to what a kernel of ours walks through at a time along K."""
    return -(-count // COLUMN_TILE) * COLUMN_TILE


def _no_time_yet(layer: Sampled) -> str:
    if layer.grain is not Grain.CHANNEL:
        return ""
    columns = layer.vectors * layer.weight.shape[2]
    return f"the column grain (K = {columns}) is unknown until measured: nothing but a kernel of ours runs it"
