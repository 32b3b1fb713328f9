"""A layer's ways, each timed, made, tuned and judged by itself. Importing it loads PyTorch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from torch import nn

from headroom.change.synapses.planning.batches import Batches
from headroom.change.synapses.planning.candidates import candidates
from headroom.change.synapses.planning.clock import AlongK, Time, times
from headroom.change.synapses.planning.layers import Place
from headroom.change.synapses.planning.losses import LossMeter
from headroom.change.synapses.planning.stand_ins import options_of
from headroom.change.synapses.planning.study import LayerStudy, Way
from headroom.change.synapses.planning.timing import Size, Stopwatch
from headroom.change.synapses.planning.tuning import tuned_alone
from headroom.change.synapses.planning.ways import Sampled, Settings, made, sampled
from headroom.change.synapses.search import Selection
from headroom.change.synapses.slim import put
from headroom.change.synapses.vectors import Grain
from headroom.change.training import Trainer

#: Least gain in time, as a share, for which a layer is changed at all.
WORTH = 0.01


@dataclass(frozen=True, eq=False)
class Judge:
    """Tries a layer's ways one by one, all other layers dense.

    Attributes:
        trial: a copy of the network whose layers are put in and taken out again.
        stopwatch: measures; without it times are a layer's :class:`~headroom.change.synapses.planning.clock.AlongK`'s.
    """

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
        tried = [
            _Tried(layer, selection)
            for layer in layers
            for selection in candidates(layer, along, self.settings.threshold)
        ]
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


def _no_time_yet(layer: Sampled) -> str:
    if layer.grain is not Grain.CHANNEL:
        return ""
    columns = layer.vectors * layer.weight.shape[2]
    return f"the column grain (K = {columns}) is unknown until measured: nothing but a kernel of ours runs it"
