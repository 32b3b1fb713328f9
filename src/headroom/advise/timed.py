"""A graph with a time for every layer: what bounds and findings are computed from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Configuration, Graph
from headroom.graph.tensor import DataType
from headroom.predict.model import predict_layers
from headroom.predict.prediction import Prediction


@dataclass(frozen=True)
class TimedGraph:
    """A graph on a GPU: ``predictions`` has one entry per ``graph.configurations``."""

    graph: Graph
    gpu: GpuSpec
    dtype: DataType
    l2_state: str
    predictions: tuple[Prediction, ...]

    @classmethod
    def predict(cls, graph: Graph, gpu: GpuSpec, dtype: DataType, l2_state: str) -> TimedGraph:
        """Time every configuration by the theory."""
        layers = [configuration.layer for configuration in graph.configurations]
        predictions = predict_layers(layers, gpu, dtype, l2_state=l2_state)
        return cls(graph, gpu, dtype, l2_state, tuple(predictions))

    @cached_property
    def configuration_of(self) -> dict[int, int]:
        """Index of a working layer's configuration; free layers are absent."""
        return {
            member: index
            for index, configuration in enumerate(self.graph.configurations)
            for member in configuration.members
        }

    def prediction(self, layer: int) -> Prediction | None:
        """The prediction of layer ``layer`` of the graph; ``None`` for a free one."""
        index = self.configuration_of.get(layer)
        return None if index is None else self.predictions[index]

    @cached_property
    def times_us(self) -> tuple[float, ...]:
        """Time per layer of the graph, 0 for free and unknown ones."""
        found = (self.prediction(index) for index in range(len(self.graph.layers)))
        return tuple((p.time_us or 0.0) if p else 0.0 for p in found)

    @cached_property
    def sequential_us(self) -> float:
        return sum(self.times_us)

    def error_pct(self, layers: Iterable[int]) -> float:
        """Error bar of a sum over ``layers``: the mean of theirs, weighted by time.

        Layers of a model err together (same GPU, same kind of kernel), so the errors add up linearly; taking
        them as independent would promise too much.
        """
        total = weighted = 0.0
        for layer in layers:
            prediction = self.prediction(layer)
            if prediction and prediction.time_us and prediction.error_pct is not None:
                total += prediction.time_us
                weighted += prediction.time_us * prediction.error_pct
        return weighted / total if total else 0.0

    def pairs(self) -> Iterable[tuple[Configuration, Prediction]]:
        return zip(self.graph.configurations, self.predictions, strict=True)

    def names(self, layers: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.graph.layers[index].name for index in layers)

    def modules(self, layers: Sequence[int]) -> tuple[str, ...]:
        """The user's own modules behind ``layers``, each once, in order."""
        found = dict.fromkeys(self.graph.layers[index].module for index in layers)
        return tuple(module for module in found if module)
