"""The bound of several changes made together, which is not the sum of what each gives alone.

A fused layer has no algorithm left to pick, a layer off the critical path saves nothing, and in another data type all
of it takes other times: so the layers are timed anew under each set of changes, and the model put together from them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from functools import cached_property
from itertools import pairwise, product

from headroom.advise.case import Case
from headroom.advise.choices import Choices
from headroom.advise.fusion import FusedGroup, fused_groups
from headroom.advise.picks import picks
from headroom.advise.recorded import Recorded
from headroom.advise.timed import TimedGraph
from headroom.graph.tensor import DataType


class _Fusing(Enum):
    """Which chains run as one kernel: none, those that wait for nothing but their own input, all.

    A kernel that also adds a residual cannot begin before that is there. Side by side with the branch that makes it,
    the layers apart may then be done sooner, so that a schedule has the choice.
    """

    NONE = "none"
    STRAIGHT = "straight"
    ALL = "all"


_FUSINGS = tuple(_Fusing)


class Gain(StrEnum):
    """A change, in the order in which a waterfall makes them."""

    FRAMEWORK = "nothing beside the layers"
    ALGORITHMS = "the fastest implementations"
    FUSION = "layers fused"
    PARALLEL = "independent layers side by side"
    TENSOR_CORES = "tensor cores"


@dataclass(frozen=True, slots=True)
class JointBound:
    """The least latency under a set of changes, in microseconds, and its error bar in percent."""

    time_us: float
    error_pct: float


def joint_bound(case: Case, gains: Collection[Gain]) -> JointBound:
    """The latency that ``case`` cannot get under if ``gains`` are made, and nothing else changes.

    Without :attr:`Gain.FRAMEWORK` what today's run spends beside its layers stays; without :attr:`Gain.ALGORITHMS`
    every layer keeps what its implementation loses to the fastest one.
    """
    return Joint(case).bound(gains)


@dataclass(frozen=True)
class Joint:
    """A case's layers under every set of changes; what several sets need is worked out once."""

    case: Case
    _times: dict[tuple[DataType, _Fusing], tuple[float, ...]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def gains(self) -> tuple[Gain, ...]:
        """The changes that can be told apart here."""
        known = {
            Gain.FRAMEWORK: self.today_us is not None,
            Gain.ALGORITHMS: bool(self._losses_us),
            Gain.FUSION: self.case.bounds.fused_us is not None,
            Gain.PARALLEL: self.case.bounds.parallel_us < self.case.bounds.sequential_us,
            Gain.TENSOR_CORES: self.tensor_type is not self.case.timed.dtype,
        }
        return tuple(gain for gain in Gain if known[gain])

    @cached_property
    def today_us(self) -> float | None:
        """The user's run without its recorder, else the fastest whole run that was measured."""
        return self.case.latency_us if self._run is None else self._run.latency_us

    @cached_property
    def tensor_type(self) -> DataType:
        """The 16-bit type on tensor cores that a wider one would be changed for; else the case's own."""
        timed = self.case.timed
        if timed.dtype not in (DataType.FP32, DataType.TF32):
            return timed.dtype
        for dtype in (DataType.BF16, DataType.FP16):
            if dtype in timed.gpu.tensor_tflops and dtype in self.case.other_dtypes:
                return dtype
        return timed.dtype

    def bound(self, gains: Collection[Gain]) -> JointBound:
        """See :func:`joint_bound`."""
        layers_us, dtype = self._layers_us(gains)
        bounds = self.case.bounds_by_dtype[dtype]
        error_pct = bounds.fused_error_pct if Gain.FUSION in gains else bounds.sequential_error_pct
        if Gain.FRAMEWORK not in gains and self.today_us is not None:
            layers_us = self._in_the_framework_us(layers_us)
        return JointBound(layers_us, error_pct or bounds.sequential_error_pct)

    def _layers_us(self, gains: Collection[Gain]) -> tuple[float, DataType]:
        """What the layers take, and in which type: another one is taken where it is faster."""
        own = self.case.timed.dtype
        dtypes = {own, self.tensor_type} if Gain.TENSOR_CORES in gains else {own}
        return min((self._layers_in_us(self.case.dtypes[dtype], gains), dtype) for dtype in dtypes)

    def _layers_in_us(self, timed: TimedGraph, gains: Collection[Gain]) -> float:
        fusings = _FUSINGS if Gain.FUSION in gains else (_Fusing.NONE,)
        ways = [list(self._layer_times(timed, fusing)) for fusing in fusings]
        if Gain.ALGORITHMS not in gains:
            for times, (layer, loss_us) in product(ways, self._losses_us.items()):
                own_us = self.case.timed.times_us[layer]
                times[layer] += loss_us * (timed.times_us[layer] / own_us if own_us else 1.0)
        if Gain.PARALLEL not in gains:
            return min(sum(times) for times in ways)
        path_us = min(timed.graph.critical_path(times)[0] for times in ways)
        return max(path_us, self.case.bounds_by_dtype[timed.dtype].speed_of_light_us)

    def _in_the_framework_us(self, layers_us: float) -> float:
        """The latency if a run whose layers took what they take today had them take ``layers_us``."""
        today_us = self.today_us or 0.0
        beside_us = max(0.0, today_us - self._layers_us(())[0])
        if self._run is None or not self._run.timelines.is_host_bound:
            return layers_us + beside_us
        # The host asks for launches as slowly as before: what the GPU saves, it waits.
        others_us = sum(other.time_us for other in self._run.execution.others)
        return max(min(today_us, self._run.timelines.host_us), layers_us + others_us)

    def _layer_times(self, timed: TimedGraph, fusing: _Fusing) -> tuple[float, ...]:
        """Time of each layer at its fastest. A fused kernel's stands at its last layer, when all that it reads is
        there; the layers before take nothing."""
        key = (timed.dtype, fusing)
        if key not in self._times:
            times = list(timed.times_us)
            if timed is self.case.timed:
                self._lower_to_the_run(times)
            if fusing is not _Fusing.NONE:
                for layer in timed.copies:
                    times[layer] = 0.0
                for group in fused_groups(timed):
                    # A run that beats the database apart is not slowed down by fusing.
                    if group.fused_us < sum(times[layer] for layer in group.layers):
                        _fuse(timed, times, group, fusing)
            self._times[key] = tuple(times)
        return self._times[key]

    def _lower_to_the_run(self, times: list[float]) -> None:
        """Lower each layer to what the user's run took for it; copies that it made views of take nothing."""
        execution = self.case.execution
        if execution is None:
            return
        for layer in self.case.timed.copies:
            if layer not in execution.run_of:
                times[layer] = 0.0
        for run in execution.runs:
            if len(run.layers) == 1:
                times[run.layers[0]] = min(times[run.layers[0]], run.time_us)

    @cached_property
    def _run(self) -> Recorded | None:
        return Recorded.of(self.case)

    @cached_property
    def _losses_us(self) -> Mapping[int, float]:
        """What each layer takes above its fastest implementation: as it ran, else as PyTorch picks by default."""
        timed = self.case.timed
        if self._run is None:
            found = {pick.layer: pick.loss_us for pick in picks(Choices.of(self.case), None)}
        else:
            runs = self._run.execution.runs
            found = {run.layers[-1]: run.time_us - sum(timed.times_us[layer] for layer in run.layers) for run in runs}
        return {layer: loss_us for layer, loss_us in found.items() if loss_us > 0}


def _fuse(timed: TimedGraph, times: list[float], group: FusedGroup, fusing: _Fusing) -> None:
    """Put the times of a group's kernels in the place of its layers'."""
    for part in group.parts:
        layers = group.layers[part.start : part.stop]
        if fusing is _Fusing.STRAIGHT and _waits(timed, layers):
            continue
        for layer in layers:
            times[layer] = 0.0
        times[layers[-1]] = part.time_us


def _waits(timed: TimedGraph, layers: Sequence[int]) -> bool:
    """Whether a kernel of ``layers`` reads what another layer writes besides what its first one reads."""
    predecessors = timed.graph.predecessors
    return any(set(predecessors[later]) - {before} for before, later in pairwise(layers))
