"""How long a chain of layers would take as one kernel, or as the few that were measured."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from headroom.advise.measurements import error_pct, implementation_text
from headroom.advise.parts import Part, cheapest
from headroom.advise.timed import TimedGraph, once_per_graph
from headroom.gpu.spec import GpuSpec
from headroom.graph.chains import GEMMS, fusible_chains, segments
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.predict.fused import fused_factors
from headroom.predict.model import predict_layers
from headroom.predict.prediction import Prediction, Source
from headroom.predict.roofline import arithmetics_us, floors_us

#: Most steps of a chain that its pattern spells out.
_STEPS_SHOWN = 4


@dataclass(frozen=True)
class FusedGroup:
    """Layers (indices into the graph, in order) that run faster when some or all of them are one kernel.

    ``parts`` are how: fused kernels and single layers. ``source`` is ``measured`` only if every part and every layer
    apart is.
    """

    layers: tuple[int, ...]
    steps: tuple[str, ...]
    unfused_us: float
    parts: tuple[Part, ...]
    source: Source

    @property
    def fused_us(self) -> float:
        return sum(part.time_us for part in self.parts)

    @property
    def error_pct(self) -> float:
        """Error bar of ``fused_us``; the parts err together, so it is their mean, weighted by time."""
        return sum(part.time_us * part.error_pct for part in self.parts) / (self.fused_us or 1.0)

    @property
    def saves_us(self) -> float:
        return self.unfused_us - self.fused_us

    @property
    def implementations(self) -> tuple[str, ...]:
        """The fused kernels that were measured, in order."""
        return tuple(part.implementation for part in self.parts if part.implementation)

    @property
    def pattern(self) -> str:
        """``convolution + batch norm + relu``; a long chain is cut."""
        rest = len(self.steps) - _STEPS_SHOWN
        shown = " + ".join(self.steps[:_STEPS_SHOWN])
        return f"{shown} + {rest} more" if rest > 0 else shown


@once_per_graph
def fused_groups(timed: TimedGraph) -> tuple[FusedGroup, ...]:
    """Every chain that is faster fused than apart, in graph order. Networks repeat themselves: one of equal chains
    answers for all of them.
    """
    chains = [chain for chain in timed.chains if all(_has_time(timed, layer) for layer in chain)]
    first: dict[Hashable, Sequence[int]] = {}
    for chain in chains:
        first.setdefault(_form(timed.graph, chain), chain)
    found = zip(first.items(), _fused_parts(timed, list(first.values())), strict=True)
    groups = {form: _group(timed, chain, [*_single(timed, chain), *fused]) for (form, chain), fused in found}
    every = (replace(groups[_form(timed.graph, chain)], layers=tuple(chain)) for chain in chains)
    return tuple(group for group in every if group.saves_us > 0)


def _form(graph: Graph, chain: Sequence[int]) -> Hashable:
    """Equal for two chains that run alike, as one kernel and apart; alike in every data type."""
    key = (_form, *chain)
    if key not in graph.remembered:
        outside = _from_outside([graph.layers[index] for index in chain])
        places = tuple(graph.configuration_of.get(index) for index in chain)
        graph.remembered[key] = (places, tuple(tensor.form for tensor in outside))
    form: Hashable = graph.remembered[key]
    return form


def _group(timed: TimedGraph, chain: Sequence[int], parts: Sequence[Part]) -> FusedGroup:
    chosen = cheapest(parts, len(chain))
    proven = timed.is_measured(chain) and all(part.source is Source.MEASURED for part in chosen)
    return FusedGroup(
        layers=tuple(chain),
        steps=tuple(timed.graph.layers[index].step for index in chain),
        unfused_us=sum(timed.times_us[index] for index in chain),
        parts=chosen,
        source=Source.MEASURED if proven else Source.PREDICTED,
    )


def floors_with_fusion(timed: TimedGraph) -> tuple[float, ...]:
    """Speed of light per layer of the graph, in microseconds, every chain counted as the one kernel it could be, and
    copies that a neighbour can do without as nothing.

    A chain's floor stands at its first layer and the others are 0, so that a path through it pays once. A layer that
    takes less than its floor (measured, or transformed: the floor is that of the direct arithmetic) has its time as
    floor; one without a time is left out, as in every bound.
    """
    graph = timed.graph
    floors = floors_us(graph.layers, timed.gpu, timed.dtype, timed.l2_state)
    for index in range(len(floors)):
        prediction = timed.prediction(index)
        if prediction is not None and prediction.time_us is None:
            floors[index] = 0.0
        elif prediction is not None and (prediction.source is Source.MEASURED or _is_lowered(prediction)):
            floors[index] = min(floors[index], timed.times_us[index])
    for index in timed.copies:
        floors[index] = 0.0
    chains = fusible_chains(graph)
    for chain, floor in zip(chains, _chain_floors_us(timed, chains, [_as_one(timed, c) for c in chains]), strict=True):
        # Never above the chain's layers apart: they touch at least what the one kernel touches.
        floors[chain[0]] = min(floor, sum(floors[index] for index in chain))
        for index in chain[1:]:
            floors[index] = 0.0
    return tuple(floors)


def _is_lowered(prediction: Prediction) -> bool:
    """Whether a predicted layer undercuts the floor of the direct arithmetic: its own was lowered to its time."""
    return prediction.floor_us == prediction.time_us


def _chain_floors_us(timed: TimedGraph, chains: Sequence[Sequence[int]], fused: Sequence[Layer]) -> list[float]:
    """Speed of light of each chain as one kernel: it touches less than its layers apart and calculates as much."""
    touched = floors_us(fused, timed.gpu, timed.dtype, timed.l2_state)
    own = arithmetics_us(timed.graph.layers, timed.gpu, timed.dtype)
    return [max(floor, sum(own[i] for i in chain)) for floor, chain in zip(touched, chains, strict=True)]


def _has_time(timed: TimedGraph, layer: int) -> bool:
    prediction = timed.prediction(layer)
    return prediction is not None and prediction.time_us is not None


def _single(timed: TimedGraph, chain: Sequence[int]) -> Iterator[Part]:
    """Each layer of a chain on its own."""
    for position, index in enumerate(chain):
        prediction = timed.prediction(index)
        if prediction is not None:
            error = prediction.error_pct or 0.0
            yield Part(position, position + 1, timed.times_us[index], error, prediction.source)


def _fused_parts(timed: TimedGraph, chains: Sequence[Sequence[int]]) -> list[list[Part]]:
    """What of each chain can run as one kernel: the measured parts, and the theory's where the whole has no row."""
    parts = [list(_measured_parts(timed, chain)) for chain in chains]
    if timed.theory_fills:
        open_ends = [i for i, chain in enumerate(chains) if not _is_whole(parts[i], len(chain))]
        for i, time_us in zip(open_ends, _predicted_times(timed, [chains[i] for i in open_ends]), strict=True):
            parts[i].append(Part(0, len(chains[i]), time_us, timed.error_pct(chains[i]), Source.PREDICTED))
    return parts


def _measured_parts(timed: TimedGraph, chain: Sequence[int]) -> Iterator[Part]:
    if not timed.fused:
        return
    layers = [timed.graph.layers[index] for index in chain]
    for start, stop in segments(layers):
        timing = timed.fused.get(tuple(chain[start:stop]))
        if timing is not None and timing.median_us is not None:
            error = error_pct(timing.median_us, timing.iqr_us)
            name = implementation_text(timing.implementation)
            yield Part(start, stop, timing.median_us, error, Source.MEASURED, name)


def _is_whole(parts: Sequence[Part], length: int) -> bool:
    return any(part.stop - part.start == length for part in parts)


def _predicted_times(timed: TimedGraph, chains: Sequence[Sequence[int]]) -> list[float]:
    """Time of each chain as one kernel, all predicted in one call.

    Where the first layer was measured, the theory's error on it is taken to be its error on the chain. A chain that was
    measured in another data type gains the same share of its time here.
    """
    fused = [_as_one(timed, chain) for chain in chains]
    predictions = predict_layers(fused, timed.gpu, timed.dtype, l2_state=timed.l2_state)
    floors = _chain_floors_us(timed, chains, fused)
    layers = [[timed.graph.layers[index] for index in chain] for chain in chains]
    factors = fused_factors(layers, timed.gpu, timed.dtype)
    times = []
    for chain, own, prediction, floor, factor in zip(chains, layers, predictions, floors, factors, strict=True):
        time_us = (prediction.time_us or 0.0) + epilogue_us(own, timed.gpu, timed.dtype, timed.l2_state)
        corrected_us = _as_in_another_type(timed, chain) or time_us * factor * timed.measured_over_predicted(chain[0])
        own_floors_us = sum(found.floor_us for index in chain if (found := timed.prediction(index)) is not None)
        times.append(max(corrected_us, min(floor, own_floors_us)))
    return times


def _as_in_another_type(timed: TimedGraph, chain: Sequence[int]) -> float | None:
    """Time of a chain as one kernel if fusion gains what it gained, measured, in the type that ``timed`` leans on."""
    row = None if timed.alike is None else timed.alike.fused.get(tuple(chain))
    if timed.alike is None or row is None or row.median_us is None:
        return None
    apart_us = sum(timed.alike.times_us[index] for index in chain)
    return sum(timed.times_us[index] for index in chain) * row.median_us / apart_us if apart_us else None


def _as_one(timed: TimedGraph, chain: Sequence[int]) -> Layer:
    """:func:`as_one` of a chain of the graph; alike in every data type."""
    key = (_as_one, *chain)
    if key not in timed.graph.remembered:
        timed.graph.remembered[key] = as_one([timed.graph.layers[index] for index in chain])
    layer: Layer = timed.graph.remembered[key]
    return layer


def as_one(layers: Sequence[Layer]) -> Layer:
    """The layer that reads what a chain reads from outside and writes what it hands on."""
    anchor = layers[0]
    if anchor.kind in GEMMS:
        return replace(anchor, outputs=layers[-1].outputs)
    weights = tuple(dict.fromkeys(weight for layer in layers for weight in layer.weights))
    return replace(anchor, inputs=anchor.inputs + _from_outside(layers), weights=weights, outputs=layers[-1].outputs)


def _from_outside(layers: Sequence[Layer]) -> tuple[TensorSpec, ...]:
    """What the followers read besides their predecessor in the chain (a residual, a gate)."""
    inside = {tensor.name for layer in layers for tensor in layer.outputs}
    return tuple(tensor for layer in layers[1:] for tensor in layer.inputs if tensor.name not in inside)


def epilogue_us(layers: Sequence[Layer], gpu: GpuSpec, dtype: DataType, l2_state: str) -> float:
    """Time to read what is fused to a product besides: its bytes over the level that holds them; 0 for other kernels,
    whose bytes contain them.
    """
    if layers[0].kind not in GEMMS:
        return 0.0
    extra_bytes = sum(tensor.bytes(dtype) for tensor in _from_outside(layers))
    resident = l2_state == "warm" and extra_bytes <= gpu.l2.size_bytes
    level = gpu.l2 if resident else gpu.dram
    return extra_bytes / level.bandwidth_gbs * 1e-3
