"""What there is to measure in a model: its distinct layers and fusible chains, the most valuable first."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headroom.graph.chain import Chain
from headroom.graph.chains import LONGEST_KERNEL, fusible_chains, segments
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.measure.gradients import DIRECTIONS, gradient
from headroom.measure.task import Task

if TYPE_CHECKING:
    from headroom.gpu.spec import GpuSpec

#: Whose theory ranks the layers of a GPU that has no sheet; only the order depends on it.
STAND_IN = "h200"


@dataclass(frozen=True)
class Wanted:
    """A task, how often the model runs its chain, and the layers whose time in ``dtype`` is at stake.

    A layer has all its time at stake, a fused chain only what its later layers would take on their own.
    """

    task: Task
    count: int
    at_stake: tuple[Layer, ...]
    dtype: DataType


@dataclass(frozen=True)
class Planned:
    """A task, how often the model runs its chain, and the microseconds per run of the model that are at stake."""

    task: Task
    count: int
    value_us: float


def wanted_tasks(
    graph: Graph, dtype: DataType, *, plans: str = "all", fused: bool = True, direction: str = "forward"
) -> list[Wanted]:
    """Every distinct configuration of ``graph`` as a chain of one, its fusible chains, and gradients if asked for.

    Args:
        plans: ``all`` or ``heuristic``.
        fused: whether chains are measured as one kernel too (forward only).
        direction: one of :data:`~headroom.measure.gradients.DIRECTIONS`.
    """
    passes = DIRECTIONS[direction]
    wanted = [([layer], [layer], count) for layer, count in _layers(graph, passes)]
    if fused and "forward" in passes:
        wanted += [(layers, layers[1:], 1) for layers in _parts(graph)]
    return [
        Wanted(Task(Chain.of(layers), type_of(layers, dtype), plans), count, tuple(at_stake), dtype)
        for layers, at_stake, count in wanted
    ]


def ranked(wanted: Sequence[Wanted], gpu: GpuSpec | None = None) -> list[Planned]:
    """Each task once, the most valuable first, as the theory of ``gpu`` has it."""
    times_us = _predicted_us(wanted, gpu)
    return most_valuable_first(
        Planned(
            item.task,
            item.count,
            item.count * sum(times_us[item.dtype, layer.configuration] for layer in item.at_stake),
        )
        for item in wanted
    )


def plan_tasks(
    graph: Graph,
    dtype: DataType,
    gpu: GpuSpec | None = None,
    *,
    plans: str = "all",
    fused: bool = True,
    direction: str = "forward",
) -> list[Planned]:
    """:func:`wanted_tasks` of a model, :func:`ranked`."""
    return ranked(wanted_tasks(graph, dtype, plans=plans, fused=fused, direction=direction), gpu)


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


def _predicted_us(wanted: Sequence[Wanted], gpu: GpuSpec | None) -> dict[tuple[DataType, Hashable], float]:
    """Predicted times of layers in each data type, each configuration once."""
    # The theory is much to import: with nothing to measure nobody asks it.
    from headroom.gpu.sheets import load_gpu
    from headroom.predict.model import predict_layers

    distinct: dict[DataType, dict[Hashable, Layer]] = {}
    for item in wanted:
        distinct.setdefault(item.dtype, {}).update((layer.configuration, layer) for layer in item.at_stake)
    sheet = gpu or load_gpu(STAND_IN)
    return {
        (dtype, configuration): prediction.time_us or 0.0
        for dtype, layers in distinct.items()
        for configuration, prediction in zip(layers, predict_layers(list(layers.values()), sheet, dtype), strict=True)
    }


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
