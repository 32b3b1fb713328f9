"""How long a chain of layers would take as one kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headroom.advise.timed import TimedGraph
from headroom.graph.chains import GEMMS, fusible_chains
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.predict.model import predict_layers
from headroom.predict.roofline import arithmetic_us, floors_us

#: Most layers in one kernel: what torch.compile fuses at most (``torch._inductor.config.max_fusion_size``).
LONGEST_KERNEL = 64

#: Most steps of a chain that its pattern spells out.
_STEPS_SHOWN = 4


@dataclass(frozen=True)
class FusedGroup:
    """Layers (indices into the graph, in order) that one kernel could replace."""

    layers: tuple[int, ...]
    steps: tuple[str, ...]
    unfused_us: float
    fused_us: float

    @property
    def saves_us(self) -> float:
        return self.unfused_us - self.fused_us

    @property
    def pattern(self) -> str:
        """``convolution + batch norm + relu``; a long chain is cut."""
        rest = len(self.steps) - _STEPS_SHOWN
        shown = " + ".join(self.steps[:_STEPS_SHOWN])
        return f"{shown} + {rest} more" if rest > 0 else shown


def fused_groups(timed: TimedGraph) -> tuple[FusedGroup, ...]:
    """Every chain that is predicted to be faster fused than apart, in graph order."""
    found = fusible_chains(timed.graph, LONGEST_KERNEL)
    chains = [chain for chain in found if all(_has_time(timed, layer) for layer in chain)]
    fused_us = _fused_times(timed, chains)
    groups = (
        FusedGroup(
            layers=tuple(chain),
            steps=tuple(timed.graph.layers[index].step for index in chain),
            unfused_us=sum(timed.times_us[index] for index in chain),
            fused_us=time_us,
        )
        for chain, time_us in zip(chains, fused_us, strict=True)
    )
    return tuple(group for group in groups if group.saves_us > 0)


def floors_with_fusion(timed: TimedGraph) -> tuple[float, ...]:
    """Speed of light per layer of the graph, in microseconds, every chain counted as the one kernel it could be.

    A chain's floor stands at its first layer and the others are 0, so that a path through it pays once.
    """
    graph = timed.graph
    floors = floors_us(graph.layers, timed.gpu, timed.dtype, timed.l2_state)
    for chain in fusible_chains(timed.graph):
        # Never above the chain's layers apart: they touch at least what the one kernel touches.
        floors[chain[0]] = min(_chain_floor_us(timed, chain), sum(floors[index] for index in chain))
        for index in chain[1:]:
            floors[index] = 0.0
    return tuple(floors)


def _chain_floor_us(timed: TimedGraph, chain: Sequence[int]) -> float:
    """Speed of light of a chain as one kernel: it touches less than its layers apart and calculates as much."""
    touched = floors_us([_as_one(timed, chain)], timed.gpu, timed.dtype, timed.l2_state)[0]
    return max(touched, sum(arithmetic_us(timed.graph.layers[index], timed.gpu, timed.dtype) for index in chain))


def _has_time(timed: TimedGraph, layer: int) -> bool:
    prediction = timed.prediction(layer)
    return prediction is not None and prediction.time_us is not None


def _fused_times(timed: TimedGraph, chains: Sequence[Sequence[int]]) -> list[float]:
    """Time of each chain as one kernel, all predicted in one call."""
    fused = [_as_one(timed, chain) for chain in chains]
    predictions = predict_layers(fused, timed.gpu, timed.dtype, l2_state=timed.l2_state)
    times = []
    for chain, layer, prediction in zip(chains, fused, predictions, strict=True):
        time_us = prediction.time_us or 0.0
        if layer.kind in GEMMS:
            time_us += _epilogue_us(timed, chain)
        times.append(max(time_us, _chain_floor_us(timed, chain)))
    return times


def _as_one(timed: TimedGraph, chain: Sequence[int]) -> Layer:
    """The layer that reads what the chain reads from outside and writes what it hands on."""
    layers = [timed.graph.layers[index] for index in chain]
    anchor = layers[0]
    if anchor.kind in GEMMS:
        return replace(anchor, outputs=layers[-1].outputs)
    weights = tuple(dict.fromkeys(weight for layer in layers for weight in layer.weights))
    return replace(anchor, inputs=anchor.inputs + _from_outside(layers), weights=weights, outputs=layers[-1].outputs)


def _from_outside(layers: Sequence[Layer]) -> tuple[TensorSpec, ...]:
    """What the followers read besides their predecessor in the chain (a residual, a gate)."""
    inside = {tensor.name for layer in layers for tensor in layer.outputs}
    return tuple(tensor for layer in layers[1:] for tensor in layer.inputs if tensor.name not in inside)


def _epilogue_us(timed: TimedGraph, chain: Sequence[int]) -> float:
    """Time to read a fused residual: its bytes over the level that holds it, on top of the product itself."""
    layers = [timed.graph.layers[index] for index in chain]
    extra_bytes = sum(tensor.bytes(timed.dtype) for tensor in _from_outside(layers))
    resident = timed.l2_state == "warm" and extra_bytes <= timed.gpu.l2.size_bytes
    level = timed.gpu.l2 if resident else timed.gpu.dram
    return extra_bytes / level.bandwidth_gbs * 1e-3
