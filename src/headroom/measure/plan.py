"""What there is to measure in a model: its distinct layers and fusible chains, the most valuable first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from headroom.gpu.sheets import load_gpu
from headroom.gpu.spec import GpuSpec
from headroom.graph.chain import Chain
from headroom.graph.chains import LONGEST_KERNEL, fusible_chains, segments
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.measure.gradients import DIRECTIONS, gradient
from headroom.measure.task import Task
from headroom.predict.model import predict_layers

#: Whose theory ranks the layers of a GPU that has no sheet; only the order depends on it.
STAND_IN = "h200"


@dataclass(frozen=True)
class Planned:
    """A task, how often the model runs its chain, and the microseconds per run of the model that are at stake.

    A layer has all its time at stake, a fused chain only what its later layers would take on their own.
    """

    task: Task
    count: int
    value_us: float


def plan_tasks(
    graph: Graph,
    dtype: DataType,
    gpu: GpuSpec | None = None,
    *,
    plans: str = "all",
    fused: bool = True,
    direction: str = "forward",
) -> list[Planned]:
    """Every distinct configuration of ``graph`` as a chain of one, its fusible chains, and gradients if asked for.

    Args:
        gpu: whose theory ranks the tasks.
        plans: ``all`` or ``heuristic``.
        fused: whether chains are measured as one kernel too (forward only).
        direction: one of :data:`~headroom.measure.gradients.DIRECTIONS`.
    """
    passes = DIRECTIONS[direction]
    wanted = [([layer], [layer], count) for layer, count in _layers(graph, passes)]
    if fused and "forward" in passes:
        wanted += [(layers, layers[1:], 1) for layers in _parts(graph)]
    times_us = _Theory(gpu or load_gpu(STAND_IN), dtype, [layer for _, at_stake, _ in wanted for layer in at_stake])
    return most_valuable_first(
        Planned(Task(Chain.of(layers), type_of(layers, dtype), plans), count, count * times_us.sum(at_stake))
        for layers, at_stake, count in wanted
    )


def type_of(layers: Sequence[Layer], dtype: DataType) -> DataType:
    """What to measure ``layers`` in: without a product to round, tf32 is fp32, whose rows answer for both."""
    rounds = any(layer.kind.computes_gemm for layer in layers)
    return DataType.FP32 if dtype is DataType.TF32 and not rounds else dtype


def most_valuable_first(planned: Iterable[Planned]) -> list[Planned]:
    """The plans of several graphs as one, each task once."""
    merged: dict[tuple[str, DataType], Planned] = {}
    for item in planned:
        key = item.task.chain.digest, item.task.dtype
        known = merged.get(key, Planned(item.task, 0, 0.0))
        merged[key] = Planned(known.task, known.count + item.count, known.value_us + item.value_us)
    return sorted(merged.values(), key=lambda item: -item.value_us)


class _Theory:
    """Predicted times of layers, each configuration once, in one call."""

    def __init__(self, gpu: GpuSpec, dtype: DataType, layers: Sequence[Layer]) -> None:
        distinct = {layer.configuration: layer for layer in layers}
        predictions = predict_layers(list(distinct.values()), gpu, dtype)
        self._times_us = {key: prediction.time_us or 0.0 for key, prediction in zip(distinct, predictions, strict=True)}

    def sum(self, layers: Sequence[Layer]) -> float:
        return sum(self._times_us[layer.configuration] for layer in layers)


def _layers(graph: Graph, passes: Sequence[str]) -> Iterator[tuple[Layer, int]]:
    """What each pass runs, and how often."""
    fed = {tensor.name for tensor in graph.inputs}
    for configuration in graph.configurations:
        if configuration.layer.kind is LayerKind.UNKNOWN:
            continue
        for name in passes:
            count = configuration.count
            if name == "dgrad":  # nobody asks for the gradient of the model's own input
                members = (graph.layers[index] for index in configuration.members)
                count = sum(any(tensor.name not in fed for tensor in layer.inputs) for layer in members)
            layer = configuration.layer if name == "forward" else gradient(configuration.layer, name)
            if layer is not None and count:
                yield layer, count


def _parts(graph: Graph) -> Iterator[list[Layer]]:
    """The parts of every fusible chain that are worth timing as one kernel."""
    for indices in fusible_chains(graph, LONGEST_KERNEL):
        layers = [graph.layers[index] for index in indices]
        for start, stop in segments(layers):
            yield layers[start:stop]
