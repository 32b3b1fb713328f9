"""What running the model in another data type saves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from headroom.advise.case import Case
from headroom.advise.choices import Choices
from headroom.advise.dtype_change import DTYPE_ERROR, in_dtype
from headroom.advise.findings.common import CERTAIN_PCT, SMALLEST_SHARE
from headroom.advise.recorded import Recorded
from headroom.advise.savings import saving
from headroom.advise.timed import TimedGraph
from headroom.advise.timelines import Change
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Elementwise
from headroom.predict.model import predict_layers
from headroom.predict.prediction import Source

#: Types worth moving to from each: fewer bits on faster units.
_TO: Mapping[DataType, tuple[DataType, ...]] = {
    DataType.FP32: (DataType.TF32, DataType.BF16),
    DataType.TF32: (DataType.BF16,),
    DataType.BF16: (DataType.FP8,),
    DataType.FP16: (DataType.FP8,),
    DataType.FP8: (),
}

#: fp8 kernels take operands whose rows are multiples of 16 bytes.
_FP8_MULTIPLE = 16


@dataclass(frozen=True)
class TypeGain:
    """``layers`` (graph indices) in ``dtype`` save ``saves_us``; the error bar is in percent of it.

    ``replayed_us`` is what the run's kernels take as a replayed CUDA graph, now and in ``dtype``; ``None`` where no run
    was given. Where ``beyond_graph`` the saving is their difference: the host hides it from the run as it is.
    """

    dtype: DataType
    layers: tuple[int, ...]
    saves_us: float
    error_pct: float
    source: Source
    replayed_us: tuple[float, float] | None = None
    beyond_graph: bool = False

    def is_sure(self, case: Case) -> bool:
        """Whether the saving is worth a line, and its error bar leaves some of it."""
        return self.saves_us > SMALLEST_SHARE * case.comes_off_us and self.error_pct < CERTAIN_PCT


def type_gains(case: Case) -> Iterator[TypeGain]:
    """What the types give that the GPU has units for, sure or not; fp16 stands in for bf16 on GPUs without it."""
    run = Recorded.of(case)
    for wanted in _TO[case.timed.dtype]:
        dtype = DataType.FP16 if wanted is DataType.BF16 and wanted not in case.other_dtypes else wanted
        if dtype not in case.timed.gpu.tensor_tflops or dtype not in case.other_dtypes:
            continue
        other = case.other_dtypes[dtype]
        layers = tuple(_faster_in_fp8(case, other) if dtype is DataType.FP8 else case.timed.configuration_of)
        if layers:
            yield _off_the_bound(case, other, layers) if run is None else _off_the_run(run, other, layers)


def _faster_in_fp8(case: Case, other: TimedGraph) -> Iterator[int]:
    """Products with weights, whose sizes fp8 kernels take: the layers that PyTorch has fp8 for."""
    for index, layer in enumerate(case.timed.graph.layers):
        gemm = layer.gemm
        if layer.kind is not LayerKind.MATMUL or not layer.weights or gemm is None:
            continue
        if gemm.k % _FP8_MULTIPLE == 0 == gemm.n % _FP8_MULTIPLE and other.times_us[index] < case.timed.times_us[index]:
            yield index


def _off_the_bound(case: Case, other: TimedGraph, layers: Iterable[int]) -> TypeGain:
    chosen = sorted(layers)
    before_us = sum(case.timed.times_us[index] for index in chosen)
    after_us = sum(other.times_us[index] for index in chosen)
    if other.dtype is DataType.FP8:
        after_us += _casts_us(case, chosen)
    saves_us = before_us - after_us
    measured = case.timed.is_measured(chosen) and other.is_measured(chosen)
    before_bar, after_bar = before_us * case.timed.error_pct(chosen), after_us * other.error_pct(chosen)
    error_pct = math.hypot(before_bar, after_bar) / abs(saves_us) if saves_us else math.inf
    source = Source.MEASURED if measured else Source.PREDICTED
    return TypeGain(other.dtype, tuple(chosen), saves_us, error_pct, source)


def _casts_us(case: Case, layers: Sequence[int]) -> float:
    """Time to scale and cast what ``layers`` read to fp8, a kernel for each tensor: the layers before are not fp8."""
    timed = case.timed
    read = {tensor.name: tensor for index in layers for tensor in timed.graph.layers[index].inputs}
    casts = [
        Layer("", "", Elementwise("mul", tensor.elements), (tensor,), (), (replace(tensor, name=f"{name} fp8"),))
        for name, tensor in read.items()
    ]
    predicted = predict_layers(casts, timed.gpu, timed.dtype, l2_state=timed.l2_state)
    return sum(prediction.time_us or 0.0 for prediction in predicted)


def _off_the_run(run: Recorded, other: TimedGraph, layers: Iterable[int]) -> TypeGain:
    """The run with the model stored in the other type; in fp8 the chosen products alone change."""
    case, chosen = run.case, tuple(sorted(layers))
    if other.dtype is DataType.FP8 or case.measurements is None:
        change, error = _as_the_fastest(case, run, other, frozenset(chosen)), 0.01 * other.error_pct(chosen)
    else:
        narrow = case.other_dtypes.get(DataType.BF16) if other.dtype is DataType.TF32 else None
        halves = None if narrow is None else Choices.read(narrow, case.measurements)
        change = in_dtype(run, Choices.of(case), Choices.read(other, case.measurements), halves)
        error = DTYPE_ERROR
    casts_us = _casts_us(case, chosen) if other.dtype is DataType.FP8 else 0.0
    found = saving(run, change, error * sum(change.gpu_us.values()), casts_us)
    return TypeGain(
        other.dtype, chosen, found.saves_us, found.error_pct, Source.PREDICTED, found.replayed_us, found.beyond_graph
    )


def _as_the_fastest(case: Case, run: Recorded, other: TimedGraph, layers: frozenset[int]) -> Change:
    """Every launch of a layer shortened as the layer's fastest implementation is, the host as it was."""
    gpu_us: dict[int, float] = {}
    for each in run.execution.runs:
        before_us = sum(case.timed.times_us[layer] for layer in each.layers)
        if before_us and layers.issuperset(each.layers):
            factor = sum(other.times_us[layer] for layer in each.layers) / before_us
            gpu_us |= {index: run.step.launches[index].duration_us * factor for index in each.launches}
    return Change(gpu_us=gpu_us)
