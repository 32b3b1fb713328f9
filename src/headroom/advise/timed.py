"""A graph with a time for every layer: what bounds and findings are computed from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from typing import TypeVar, cast

from headroom.advise.asked import chain_parts, single_layers
from headroom.advise.measurements import Measurements, measured, unmeasured, usable
from headroom.gpu.spec import GpuSpec
from headroom.graph.chains import LONGEST_KERNEL, fusible_chains
from headroom.graph.copies import absorbed_copies
from headroom.graph.graph import Configuration, Coverage, Graph
from headroom.graph.tensor import DataType
from headroom.graph.work import Unknown
from headroom.predict.error_sums import of_sum
from headroom.predict.model import predict_layers
from headroom.predict.prediction import Prediction, Source
from headroom.store.rows import Timing

_Answer = TypeVar("_Answer")


def once_per_graph(ask: Callable[[TimedGraph], _Answer]) -> Callable[[TimedGraph], _Answer]:
    """Answers that several questions want of the same timed graph, which never changes, are found once."""

    @wraps(ask)
    def remembered(timed: TimedGraph) -> _Answer:
        if ask not in timed._remembered:
            timed._remembered[ask] = ask(timed)
        return cast(_Answer, timed._remembered[ask])

    return remembered


@dataclass(frozen=True)
class TimedGraph:
    """A graph on a GPU. ``predictions``, ``theory`` and ``timings`` have one entry per ``graph.configurations``.

    ``predictions`` are what bounds are made of: measured where there is a row, else the ``theory``'s. ``fused`` holds
    the rows of fusible chains and their parts, by the layers (indices) that run as one kernel. Where ``theory_fills``
    is false, nothing but rows counts. ``alike`` is the graph in another data type, whose rows tell how far the theory
    is off where this type has none.
    """

    graph: Graph
    gpu: GpuSpec
    dtype: DataType
    l2_state: str
    predictions: tuple[Prediction, ...]
    theory: tuple[Prediction, ...] = ()
    timings: tuple[Timing | None, ...] = ()
    fused: Mapping[tuple[int, ...], Timing] = field(default_factory=dict)
    theory_fills: bool = True
    alike: TimedGraph | None = None
    _remembered: dict[Callable[[TimedGraph], object], object] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def predict(cls, graph: Graph, gpu: GpuSpec, dtype: DataType, l2_state: str) -> TimedGraph:
        """Time every configuration by the theory."""
        layers = [configuration.layer for configuration in graph.configurations]
        predictions = tuple(predict_layers(layers, gpu, dtype, l2_state=l2_state))
        return cls(graph, gpu, dtype, l2_state, predictions, predictions)

    def measured_by(self, measurements: Measurements, *, theory_fills: bool = True) -> TimedGraph:
        """The same graph with every time that ``measurements`` have; one question to the database answers it all."""
        singles, parts = single_layers(self.graph), chain_parts(self.graph, self.chains)
        asked = {chain.digest: chain for chain in (*parts.values(), *filter(None, singles))}
        answers = measurements.best(asked.values(), self.dtype, self.l2_state)
        rows = {digest: timing for digest, timing in answers.items() if usable(timing)}
        timings = tuple(None if chain is None else rows.get(chain.digest) for chain in singles)
        theory = self.theory or self.predictions
        otherwise = theory if theory_fills else [unmeasured(prediction) for prediction in theory]
        predictions = tuple(
            measured(prediction, timing) if timing else other
            for prediction, timing, other in zip(theory, timings, otherwise, strict=True)
        )
        fused = {part: rows[chain.digest] for part, chain in parts.items() if chain.digest in rows}
        return replace(
            self, predictions=predictions, theory=theory, timings=timings, fused=fused, theory_fills=theory_fills
        )

    @cached_property
    def chains(self) -> list[list[int]]:
        """Layers (indices, in order) that could be one kernel."""
        return fusible_chains(self.graph, LONGEST_KERNEL)

    @cached_property
    def copies(self) -> frozenset[int]:
        """Layers that only copy, which a neighbour can do without."""
        if absorbed_copies not in self.graph.remembered:
            self.graph.remembered[absorbed_copies] = absorbed_copies(self.graph)
        copies: frozenset[int] = self.graph.remembered[absorbed_copies]
        return copies

    @property
    def configuration_of(self) -> Mapping[int, int]:
        """Index of a working layer's configuration; free layers are absent."""
        return self.graph.configuration_of

    def prediction(self, layer: int) -> Prediction | None:
        """The figures of layer ``layer`` of the graph; ``None`` for a free one."""
        return self._by_layer[layer]

    @cached_property
    def _by_layer(self) -> tuple[Prediction | None, ...]:
        places = map(self.configuration_of.get, range(len(self.graph.layers)))
        return tuple(None if at is None else self.predictions[at] for at in places)

    def measured_over_predicted(self, layer: int) -> float:
        """How much longer a layer takes than the theory says, measured here or in another type; 1 where not known."""
        index = self.configuration_of.get(layer)
        if index is None:
            return 1.0
        if not self.timings or (timing := self.timings[index]) is None:
            return 1.0 if self.alike is None else self.alike.measured_over_predicted(layer)
        return (timing.median_us or 0.0) / (self.theory[index].time_us or timing.median_us or 1.0)

    def timing(self, configuration: int) -> Timing | None:
        """The row behind the time of a configuration; ``None`` where it is not measured."""
        return self.timings[configuration] if self.timings else None

    @cached_property
    def times_us(self) -> tuple[float, ...]:
        """Time per layer of the graph, 0 for free and unknown ones."""
        return tuple((p.time_us or 0.0) if p else 0.0 for p in self._by_layer)

    @cached_property
    def sequential_us(self) -> float:
        return sum(self.times_us)

    @cached_property
    def coverage(self) -> Coverage:
        """What has a time. A layer that is understood but has none counts as unknown, with all its multiply-adds."""
        graph = self.graph
        timeless = [layer for index, layer in enumerate(graph.layers) if self._is_timeless(index)]
        missing_macs = sum(
            layer.work.estimated_macs if isinstance(layer.work, Unknown) else layer.macs for layer in timeless
        )
        all_macs = graph.macs + sum(layer.work.estimated_macs for layer in timeless if isinstance(layer.work, Unknown))
        nodes = len(graph.working_layers)
        return Coverage(
            known_share=1.0 if nodes == 0 else 1.0 - len(timeless) / nodes,
            known_macs_share=1.0 if all_macs == 0 else (all_macs - missing_macs) / all_macs,
            unknown_layers=tuple(layer.name for layer in timeless),
        )

    def _is_timeless(self, layer: int) -> bool:
        prediction = self.prediction(layer)
        return prediction is not None and prediction.time_us is None

    def error_pct(self, layers: Iterable[int]) -> float:
        """Error bar of what comes of ``layers``: the mean of theirs, weighted by time, as if all erred alike.

        Right for what a change to them saves, and for kernels that nobody timed as one; :meth:`sum_error_pct` is for
        their plain sum.
        """
        total = weighted = 0.0
        for layer in layers:
            prediction = self.prediction(layer)
            if prediction and prediction.time_us and prediction.error_pct is not None:
                total += prediction.time_us
                weighted += prediction.time_us * prediction.error_pct
        return weighted / total if total else 0.0

    def sum_error_pct(self, layers: Iterable[int]) -> float:
        """Error bar of the sum of the times of ``layers``; see :mod:`headroom.predict.error_sums`.

        What repetitions of measured ones differ by is taken as common to them: one clock, one memory.
        """
        bars_us: dict[int, float] = {}
        total_us = measured_us = 0.0
        configuration_of, predictions = self.configuration_of, self.predictions
        for layer in layers:
            index = configuration_of.get(layer)
            if index is None:
                continue
            prediction = predictions[index]
            if not prediction.time_us or prediction.error_pct is None:
                continue
            bar_us = prediction.time_us * prediction.error_pct
            total_us += prediction.time_us
            if prediction.source is Source.MEASURED:
                measured_us += bar_us
            else:
                bars_us[index] = bars_us.get(index, 0.0) + bar_us
        predicted_us = of_sum(sum(bars_us.values()), sum(bar * bar for bar in bars_us.values()))
        return (measured_us + predicted_us) / total_us if total_us else 0.0

    def theory_error_pct(self, layers: Iterable[int]) -> float:
        """Error bar of what the theory says about ``layers``: a measured time makes its waves and shares no surer."""
        known = [index for index in layers if index in self.configuration_of]
        theory = self.theory or self.predictions
        bars = {index: theory[self.configuration_of[index]].error_pct or 0.0 for index in known}
        total = sum(self.times_us[index] for index in known)
        weighted = sum(self.times_us[index] * bars[index] for index in known)
        return max(self.error_pct(known), weighted / total if total else 0.0)

    def is_measured(self, layers: Iterable[int]) -> bool:
        """Whether every one of ``layers`` that does work has a measured time."""
        found = (self.prediction(layer) for layer in layers)
        return all(prediction is None or prediction.source is Source.MEASURED for prediction in found)

    @cached_property
    def measured_share(self) -> float:
        """Share of the sequential time that is measured."""
        measured_us = sum(
            (prediction.time_us or 0.0) * configuration.count
            for configuration, prediction in self.pairs()
            if prediction.source is Source.MEASURED
        )
        return measured_us / self.sequential_us if self.sequential_us else 0.0

    def pairs(self) -> Iterable[tuple[Configuration, Prediction]]:
        return zip(self.graph.configurations, self.predictions, strict=True)

    def names(self, layers: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.graph.layers[index].name for index in layers)

    def modules(self, layers: Sequence[int]) -> tuple[str, ...]:
        """The user's own modules behind ``layers``, each once, in order."""
        found = dict.fromkeys(self.graph.layers[index].module for index in layers)
        return tuple(module for module in found if module)
