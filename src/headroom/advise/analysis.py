"""The answer: bounds, where time goes, and what to do. Everything that a report shows is in here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Coverage
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.predict.prediction import Prediction


@dataclass(frozen=True, slots=True)
class LayerAnswer:
    """One configuration: a layer, all the places it occurs, and what is known of its time.

    ``names`` and ``modules`` run over the occurrences, in order; ``indices`` point into ``Graph.layers``.
    ``prediction`` is for one occurrence.
    """

    layer: Layer
    names: tuple[str, ...]
    modules: tuple[str, ...]
    indices: tuple[int, ...]
    prediction: Prediction

    @property
    def count(self) -> int:
        return len(self.names)

    @property
    def total_us(self) -> float:
        """Time of all occurrences; an unknown layer adds nothing (totals carry the unknown share)."""
        return (self.prediction.time_us or 0.0) * self.count


@dataclass(frozen=True, slots=True)
class Bounds:
    """Lower bounds of the model's latency, in microseconds.

    ``sequential_us`` sums the layers, ``parallel_us`` follows the critical path over data-independent layers,
    ``fused_us`` is ``None`` where nothing can be fused, ``speed_of_light_us`` is the roofline floor of the
    whole model. Each has its error bar in percent. ``unknown_share`` is the share of nodes with no time,
    which every bound leaves out; ``unknown_macs_share`` weighs them.
    """

    sequential_us: float
    sequential_error_pct: float
    parallel_us: float
    parallel_error_pct: float
    fused_us: float | None
    fused_error_pct: float | None
    speed_of_light_us: float
    speed_of_light_error_pct: float
    unknown_share: float
    unknown_macs_share: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One opportunity.

    ``saves_us`` comes off the sequential bound, ``speedup`` is the whole model's; ``action`` is what to do,
    in one sentence; ``layers`` and ``modules`` name the user's own code.
    """

    kind: str
    title: str
    saves_us: float
    error_pct: float
    speedup: float
    layers: tuple[str, ...]
    modules: tuple[str, ...]
    action: str


@dataclass(frozen=True, slots=True)
class ScheduledLayer:
    """A layer on the timeline of the parallel schedule: ``answer`` indexes ``Analysis.answers``."""

    name: str
    answer: int
    stream: int
    start_us: float
    duration_us: float
    critical: bool


@dataclass(frozen=True, slots=True)
class Memory:
    """What the model needs and what the GPU has, in bytes."""

    weights: int
    peak_activations: int
    gpu: int

    @property
    def fits(self) -> bool:
        return self.weights + self.peak_activations <= self.gpu


@dataclass(frozen=True)
class Analysis:
    """A model on a GPU at one batch and data type.

    ``answers`` are configurations in order of first appearance; ``time_by_kind`` and ``time_by_module`` sum
    the sequential bound; ``time_by_bottleneck`` says what limits it; ``schedule`` is the parallel bound's
    timeline.
    """

    model: str
    gpu: GpuSpec
    batch: int
    dtype: DataType
    l2_state: str
    answers: tuple[LayerAnswer, ...]
    bounds: Bounds
    findings: tuple[Finding, ...]
    coverage: Coverage
    memory: Memory
    verdict: str
    schedule: tuple[ScheduledLayer, ...]
    time_by_kind: Mapping[str, float]
    time_by_module: Mapping[str, float]
    time_by_bottleneck: Mapping[str, float]
    macs: int
    flops: int
    system: str | None = None
    measured_us: float | None = None
    notes: tuple[str, ...] = ()
