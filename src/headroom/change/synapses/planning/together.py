"""What a composition of ways takes altogether, with the producers whose filters go too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from headroom.change.synapses.planning.clock import Clock, Time
from headroom.change.synapses.planning.study import LayerStudy, Way
from headroom.change.widths.staircase.layers import widths_of
from headroom.graph.layer import Layer


@dataclass(frozen=True, eq=False)
class Together:
    """Adds up a composition's times: called with each layer's way by its index, it gives microseconds and percent.

    Where a layer's channels go with their producers' filters, a producer's time shrinks by the share that the theory
    gives for its smaller output. Normalisations and activations between them shrink too, which is not counted.

    Attributes:
        studies: the layers.
        graph_layers: what the graph has for each of them.
        clock: tells what fewer outputs save.
        rest: what all other layers take.
    """

    studies: tuple[LayerStudy, ...]
    graph_layers: Sequence[Layer]
    clock: Clock
    rest: Time
    _shares: dict[tuple[str, int, int], float] = field(default_factory=dict)

    def __call__(self, ways: tuple[int, ...]) -> tuple[float, float]:
        chosen = {study.name: study.ways[index] for study, index in zip(self.studies, ways, strict=True)}
        own = {study.name: layer for study, layer in zip(self.studies, self.graph_layers, strict=True)}
        outputs = {
            producer: _kept(chosen[study.name], own.get(producer))
            for study in self.studies
            for producer in study.producers
            if gone_with_producers(study, chosen[study.name])
        }
        total_us = self.rest.time_us
        weighted = self.rest.time_us * self.rest.error_pct
        for study, layer in zip(self.studies, self.graph_layers, strict=True):
            way = chosen[study.name]
            time_us = way.time_us
            if study.name in outputs and (way.grain is None or way.grain.is_whole):
                time_us *= self._share(study.name, layer, way, outputs[study.name])
            total_us += time_us
            weighted += time_us * way.error_pct
        return total_us, weighted / total_us if total_us else 0.0

    def _share(self, name: str, layer: Layer, way: Way, outputs: int) -> float:
        inputs = widths_of(layer)[0] if way.grain is None else way.retained
        key = (name, inputs, outputs)
        if key not in self._shares:
            # A smaller layer never takes longer for good: the wider one could run in its place, zeros in it.
            self._shares[key] = min(1.0, self.clock.shrinks(layer, inputs, outputs))
        return self._shares[key]


def _kept(way: Way, producer: Layer | None) -> int:
    """Outputs of a producer that stay: as many as its reader's inputs, or fewer where a flattening spreads each."""
    made = way.vectors if producer is None else widths_of(producer)[1]
    return round(made * way.retained / way.vectors)


def gone_with_producers(study: LayerStudy, way: Way) -> bool:
    """Whether what makes a layer's removed inputs goes as well."""
    return bool(study.producers) and way.grain is not None and way.grain.is_whole
