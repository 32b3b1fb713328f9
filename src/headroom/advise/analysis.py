"""The answer: bounds, where time goes, and what to do. Everything that a report shows is in here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headroom.advise.fusion import FusedGroup
from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Coverage
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.predict.prediction import Prediction, Source
from headroom.store.rows import NetworkTiming, Timing

if TYPE_CHECKING:
    from headroom.advise.execution import Execution
    from headroom.advise.phases import Phases
    from headroom.advise.questions.answer import Answer


@dataclass(frozen=True, slots=True)
class LayerAnswer:
    """One configuration: a layer, all the places it occurs, and what is known of its time.

    ``names`` and ``modules`` run over the occurrences, in order; ``indices`` point into ``Graph.layers``.
    ``prediction`` is for one occurrence: its time is measured where there is a row, and ``timing`` is that row;
    traffic, grid and bottleneck are the theory's. ``predicted_us`` is the time that the theory gives, measured or not.
    """

    layer: Layer
    names: tuple[str, ...]
    modules: tuple[str, ...]
    indices: tuple[int, ...]
    prediction: Prediction
    timing: Timing | None = None
    predicted_us: float | None = None

    @property
    def is_measured(self) -> bool:
        return self.prediction.source is Source.MEASURED

    @property
    def traffic_source(self) -> Source:
        """Where traffic, grid and bottleneck come from: the theory, whatever the time's source."""
        return Source.UNKNOWN if self.layer.kind is LayerKind.UNKNOWN else Source.PREDICTED

    @property
    def is_noisy(self) -> bool:
        """Whether the measurement spreads so far that it has to be said."""
        return self.is_measured and self.timing is not None and self.timing.is_noisy

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
    which every bound leaves out; ``unknown_macs_share`` weighs them. ``fused_measured_share`` is the share of
    ``fused_us`` that kernels as measured make up.
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
    fused_measured_share: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One opportunity.

    ``saves_us`` comes off the user's own run where a profile was given, else off the sequential bound; ``speedup`` is
    the whole model's; ``action`` is what to do, in one sentence, with the code or setting in it; ``layers`` and
    ``modules`` name the user's own code. ``source`` says whether the saving was measured, before and after, or is
    predicted. ``limits`` is what of it cannot be had today (in PyTorch, say), and what it costs. ``code`` holds the
    lines to put in or the command to type, exactly and nothing else, where there are any; ``action`` then need not
    repeat them.
    """

    kind: str
    title: str
    saves_us: float
    error_pct: float
    speedup: float
    layers: tuple[str, ...]
    modules: tuple[str, ...]
    action: str
    source: Source = Source.PREDICTED
    limits: str = ""
    code: str = ""


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
    timeline. ``system`` is where measured times come from, ``networks`` is how long frameworks took there for the
    whole model, each way it was run; ``measured_us`` is the fastest of them. ``fused`` are the chains that the fused
    bound runs in fewer kernels, indices into ``Graph.layers``. ``questions`` are the answers behind ``findings``;
    ``execution`` is the user's own run, where a profile was given: ``measured_us`` is then its latency. ``phases``
    splits a language model's time into reading a prompt and writing a token. ``calibration`` says what the constants
    of predicted times were fitted to; ``direction`` which passes of the model were asked about.
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
    measured_error_pct: float = 0.0
    networks: tuple[NetworkTiming, ...] = ()
    fused: tuple[FusedGroup, ...] = ()
    notes: tuple[str, ...] = ()
    questions: tuple[Answer, ...] = ()
    execution: Execution | None = None
    phases: Phases | None = None
    calibration: str = ""
    direction: str = "forward"

    @property
    def measured_layers(self) -> int:
        """Layers of the model, occurrences counted, whose time is measured."""
        return sum(answer.count for answer in self.answers if answer.is_measured)

    @property
    def measured_time_share(self) -> float:
        """Share of the sequential bound that is measured."""
        total_us = sum(answer.total_us for answer in self.answers)
        return sum(answer.total_us for answer in self.answers if answer.is_measured) / total_us if total_us else 0.0
