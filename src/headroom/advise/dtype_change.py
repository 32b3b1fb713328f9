"""A recorded run with the model stored in another data type: what PyTorch would then run, layer by layer.

Convolutions and products take PyTorch's own rows in that type, in the run's layout. What 16-bit models pay elsewhere
was taken from recorded runs of 12 networks: PyTorch normalises a 16-bit batch by its own kernels, which cast the
statistics and invert the variance anew in every inference.
"""

from __future__ import annotations

from dataclasses import replace

from headroom.advise.batch_norm import batch_norm_us
from headroom.advise.choices import LIBRARY_KINDS, Choices, Setting
from headroom.advise.kernel_names import Unit, unit_of
from headroom.advise.recorded import Recorded
from headroom.advise.same_kernels import implementation_of
from headroom.advise.settings import Layout, layout_of, main_launch
from headroom.advise.timelines import Change
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Normalization

#: What a BatchNorm at inference costs in 16 bits beyond its own kernel: the host's time as recorded, the GPU's, in us.
NARROW_BATCH_NORM_US = (22.0, 3.2)

#: A kernel in a run finds its code and its weights in no cache that the stopwatch had warmed: longer by this, in us.
COLD_START_US = 0.8

#: Tensor cores multiply tf32 at half the rate of 16 bits, out of twice the bytes.
_TF32_PER_BF16 = 2.0

#: Composed attention in 16 bits casts query, key, value, weights and result, because PyTorch computes it in fp32: the
#: casts of a layer, the host's time for one as recorded and the GPU's, in us, and bytes per us.
_CASTS, _CAST_HOST_US, _CAST_US, _CAST_BYTES = 5, 12.0, 1.8, 2.4e6

#: Error of the GPU's predicted time in another type: half of 13 replayed runs of 12 networks lie within 3 %, four of
#: five within this.
DTYPE_ERROR = 0.06

_NARROW = frozenset({DataType.BF16, DataType.FP16})


def in_dtype(run: Recorded, now: Choices, then: Choices, narrow: Choices | None = None) -> Change:
    """``run`` with every layer in the data type of ``then``, whose graph is that of ``now``.

    ``narrow`` are the rows in 16 bits, which bound what products in tf32 take.
    """
    change = Change()
    for layer, described in enumerate(run.case.timed.graph.layers):
        launches = run.launches_of(layer, alone=True)
        if not launches:
            continue
        main = main_launch(run, launches)
        to_narrow = then.timed.dtype in _NARROW and now.timed.dtype not in _NARROW
        if layer in run.composed:
            change |= _cast_around(described, main) if to_narrow else Change()
        elif _is_batch_norm(described):
            change |= _batch_norm(run, now, then, described, main)
            change = replace(change, added={**change.added, main: NARROW_BATCH_NORM_US}) if to_narrow else change
        else:
            time_us = run.time_us(launches)
            scale = _after_us(run, now, then, narrow, layer, launches) / time_us if time_us else 1.0
            change |= Change(gpu_us={each: run.step.launches[each].duration_us * scale for each in launches})
    return change


def _after_us(
    run: Recorded, now: Choices, then: Choices, narrow: Choices | None, layer: int, launches: tuple[int, ...]
) -> float:
    """The layer's time in the other type."""
    time_us, kind = run.time_us(launches), run.case.timed.graph.layers[layer].kind
    if kind is LayerKind.CONVOLUTION and then.timed.dtype is DataType.TF32 and _convolves_in_tf32(run):
        return time_us
    if kind in LIBRARY_KINDS:
        return _library_us(run, now, then, narrow, layer, launches)
    if kind is LayerKind.ATTENTION:
        return min(time_us, then.timed.times_us[layer] + COLD_START_US)
    before_us = now.timed.times_us[layer]
    return time_us * min(1.0, then.timed.times_us[layer] / before_us) if before_us else time_us


def _library_us(
    run: Recorded, now: Choices, then: Choices, narrow: Choices | None, layer: int, launches: tuple[int, ...]
) -> float:
    """A convolution's or a product's time in the other type, by the rows of PyTorch's choices.

    Hopper's tf32 instructions take operands along k alone: a row of a product whose weight lies the other way, as in a
    model's file, is slower than PyTorch's own layer, whose weight lies along k.
    """
    setting = Setting(str(layout_of(run, now)))
    time_us, after = run.time_us(launches), then.torch(layer, setting)
    if after is None or after.median_us is None:
        return time_us
    after_us = after.median_us
    if run.case.timed.graph.layers[layer].kind is LayerKind.MATMUL and narrow is not None:
        half = narrow.torch(layer, setting)
        after_us = min(after_us, _TF32_PER_BF16 * half.median_us) if half and half.median_us else after_us
    before = implementation_of([run.step.launches[launch] for launch in launches], now.all(layer))
    if before is None or before.median_us is None:
        return after_us + COLD_START_US
    return time_us * after_us / before.median_us


def _convolves_in_tf32(run: Recorded) -> bool:
    """Whether PyTorch was allowed tf32 in convolutions, as it is by default: then one ran on tensor cores."""
    graph = run.case.timed.graph
    convolutions = (each for each in run.execution.runs if any(_convolves(graph.layers[i]) for i in each.layers))
    names = (run.step.launches[launch].name for each in convolutions for launch in each.launches)
    return any(unit_of(name) is Unit.TENSOR_CORES for name in names)


def _convolves(layer: Layer) -> bool:
    return layer.kind is LayerKind.CONVOLUTION


def _batch_norm(run: Recorded, now: Choices, then: Choices, layer: Layer, main: int) -> Change:
    """PyTorch's own kernel, which for small images is bound by their number and not by their bytes."""
    nhwc, shape = layout_of(run, now) is Layout.NHWC, layer.outputs[0].shape
    before_us, after_us = (batch_norm_us(shape, each.timed.dtype.bytes, nhwc=nhwc) for each in (now, then))
    return Change(gpu_us={main: run.step.launches[main].duration_us * after_us / before_us})


def _cast_around(layer: Layer, main: int) -> Change:
    """Attention that runs as products and a softmax keeps its time, and casts come on top."""
    moved_bytes = layer.outputs[0].elements * (DataType.FP32.bytes + DataType.BF16.bytes)
    return Change(added={main: (_CASTS * _CAST_HOST_US, _CASTS * (_CAST_US + moved_bytes / _CAST_BYTES))})


def _is_batch_norm(layer: Layer) -> bool:
    return isinstance(layer.work, Normalization) and layer.work.function == "batch" and not layer.work.group_elements
