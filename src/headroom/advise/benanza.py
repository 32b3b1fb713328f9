"""Benanza's own totals of a model, out of the times that the database holds.

Its *serial* total is our sequential bound: the sum over all layers. Its *parallel* total is our critical path with two
differences, neither of which is in the paper's definition: the path leads from the first timed layer to the last timed
one in Benanza's order of the layers, whatever else ends later; and edges weigh what their source takes, so that the
last layer's own time is not in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from headroom.graph.graph import Graph
from headroom.store.benanza.published import PublishedLayer
from headroom.store.benanza.timed import TimedCall
from headroom.store.merge import StoreSource
from headroom.store.rows import Implementation, System
from headroom.store.store import Store

#: A time by system, chain digest and implementation.
Times = Mapping[tuple[System, str, Implementation], float]


@dataclass(frozen=True)
class LayerTimes:
    """Microseconds of each layer by name; those in ``unknown`` have none, because the call they need was not timed."""

    known: Mapping[str, float]
    unknown: frozenset[str]


def stored_times(store: Store) -> dict[tuple[System, str, Implementation], float]:
    """Every time in ``store``, also those of too few launches for a bound: Benanza's totals are made of them too."""
    return {
        (record.system, record.chain.digest, timing.implementation): timing.median_us
        for record in StoreSource(store).records()
        for timing in record.timings
        if timing.median_us is not None
    }


def layer_times(layers: Mapping[str, PublishedLayer], times: Times, *, advised: bool) -> LayerTimes:
    """The time of each of ``layers``: its calls at the fastest algorithm, or at the one that cuDNN's heuristic advised.

    Benanza published the time of the advised algorithm only where that was the fastest, or where all were listed.
    """
    found = {name: _time(layer, times, advised=advised) for name, layer in layers.items()}
    known = {name: time_us for name, time_us in found.items() if time_us is not None}
    return LayerTimes(known, frozenset(found) - frozenset(known))


def _time(layer: PublishedLayer, times: Times, *, advised: bool) -> float | None:
    # A call that did not run stands with a time of 0 in Benanza's totals, too.
    found = [times.get(_key(call, advised=advised)) if call.time_us else 0.0 for call in layer.calls]
    known = [time_us for time_us in found if time_us is not None]
    return sum(known) if len(known) == len(found) else None


def _key(call: TimedCall, *, advised: bool) -> tuple[System, str, Implementation]:
    system, digest, implementation = call.key
    if advised and call.advised is not None and call.call.function == "CONV_FWD":
        return system, digest, call.implementation(call.advised)
    return system, digest, implementation


def serial_us(layers: Mapping[str, PublishedLayer], times: LayerTimes) -> float:
    """Benanza's serial total: a layer counts once per tensor that it writes, so a Dropout with its mask twice."""
    return sum(time_us * layers[name].listed for name, time_us in times.known.items())


def parallel_us(graph: Graph, times: LayerTimes, *, with_last: bool = False) -> float:
    """Benanza's parallel total; 0 where no path leads from the first timed layer to the last.

    An earlier version of Benanza, which some published totals were made with, had the last layer in: ``with_last``.
    """
    return parallel_path(graph, times, with_last=with_last)[0]


def parallel_path(graph: Graph, times: LayerTimes, *, with_last: bool = False) -> tuple[float, tuple[str, ...]]:
    """Benanza's parallel total and the names of the layers on its path, the last one's too."""
    timed = [index for index, layer in enumerate(graph.layers) if layer.name in times.known]
    if not timed:
        return 0.0, ()
    first, last = timed[0], timed[-1]
    part = replace(graph, layers=tuple(graph.layers[index] for index in _between(graph, first, last)))
    spent = [times.known.get(layer.name, 0.0) for layer in part.layers]
    length, path = part.critical_path(spent)
    left_out = spent[-1] if spent and not with_last else 0.0
    return length - left_out, tuple(part.layers[index].name for index in path)


def _between(graph: Graph, first: int, last: int) -> list[int]:
    """Layers on a path from ``first`` to ``last``, in order."""
    after = {first}
    for index, before in enumerate(graph.predecessors):
        if after.intersection(before):
            after.add(index)
    leading = {last} & after
    for index in range(last, first, -1):
        if index in leading:
            leading.update(after.intersection(graph.predecessors[index]))
    return sorted(leading)
