"""Memory-bound kernels: layers without a matrix product, and products with next to no reuse."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import (
    Convolution,
    Elementwise,
    Embedding,
    Matmul,
    Movement,
    Normalization,
    Pooling,
    Reduction,
    Softmax,
)
from headroom.predict.delta.traffic import SECTOR_BYTES
from headroom.predict.kernel_sorts import direct_bar_kind
from headroom.predict.kinds.context import Context
from headroom.predict.kinds.terms import regime
from headroom.predict.memory_bound import STREAM_LIMITS, Streams, estimate_streams
from headroom.predict.prediction import Prediction, Source
from headroom.predict.roofline import floors_us

#: A row or group that does not fit a CTA's registers and shared memory is read once per pass.
_ROW_ON_CHIP_BYTES = 64 * 1024

#: What such a row costs in units of reading and writing it once: the further pass reads it again.
_SECOND_PASS_FACTOR = 1.5

#: From this many flops per value on, an activation evaluates a special function.
_COSTLY_FLOPS = 8

#: A pooling whose windows do not overlap and are larger than this averages whole images, with a kernel of its own.
_LARGEST_LOCAL_WINDOW = 16

#: From this many values per output on, a reduction runs in two sweeps: CTAs reduce their parts, then one of them the
#: parts' results.
_VALUES_OF_TWO_SWEEPS = 4096


def predict_streams(layers: Sequence[Layer], context: Context) -> list[Prediction]:
    """Normalisation, pooling, softmax, activation, elementwise, reduction, movement and embedding.

    Also depthwise convolutions and matrix-vector products, whose kernels use no multiplier tiles.
    """
    if not layers:
        return []
    dtype, gpu = context.dtype, context.gpu
    plain = gpu.peak_tflops(dtype, tensor=False)
    sorts = [sort_of(layer) for layer in layers]
    found = estimate_streams(streams_of(layers, dtype), sorts, gpu, plain, context.stream_constants, context.l2_state)
    floors = np.array(floors_us(layers, gpu, dtype, context.l2_state))
    bars = _error_pcts({bar_kind_of(layer) for layer in layers}, context)
    columns = zip(
        layers, np.maximum(found.time_us, floors).tolist(), floors.tolist(), found.is_short.tolist(),
        found.limit.tolist(), found.l2_bytes.tolist(), (found.dram_bytes + 0.0 * floors).tolist(),
        found.ctas.tolist(), strict=True,
    )  # fmt: skip
    return [
        Prediction(
            time_us, bars[bar_kind_of(layer), is_short], Source.PREDICTED, STREAM_LIMITS[limit], floor, l2, l2, dram,
            _algorithm(layer), None, int(ctas), ctas / gpu.sms, ctas / (math.ceil(ctas / gpu.sms) * gpu.sms),
            _notes(layer),
        )
        for layer, time_us, floor, is_short, limit, l2, dram, ctas in columns
    ]  # fmt: skip


def _error_pcts(kinds: Iterable[str], context: Context) -> dict[tuple[str, bool], float]:
    """Error bars by kind, and by whether launch and ramp are most of the time."""
    c = context
    return {
        (kind, is_short): c.calibration.error_pct(kind, "plain", c.gpu, regime(is_short), c.dtype, c.l2_state)
        for kind in kinds
        for is_short in (False, True)
    }


def streams_of(layers: Sequence[Layer], dtype: DataType) -> Streams:
    """What the streaming model needs to know of the layers."""
    values, passes, flops, groups, taps = np.array([_work_of(layer) for layer in layers], dtype=np.float64).T
    return Streams(
        bytes_moved=np.array([layer.bytes(dtype) for layer in layers], dtype=np.float64),
        factor=np.array([traffic_factor(layer, dtype) for layer in layers]),
        passes=passes,
        values=values,
        flops=flops,
        groups=groups,
        taps=taps,
    )


def _work_of(layer: Layer) -> tuple[int, int, int, int, int]:
    """Values, sweeps, flops, groups and taps, alike in every data type."""
    if _work_of not in layer.remembered:
        layer.remembered[_work_of] = (
            values_of(layer), passes(layer), layer.flops, groups_of(layer), taps_of(layer)
        )  # fmt: skip
    found: tuple[int, int, int, int, int] = layer.remembered[_work_of]
    return found


def sort_of(layer: Layer) -> str:
    """What the calibration calls the layer's kernel: its kind, or a sort that costs more than the rest of its kind."""
    if sort_of not in layer.remembered:
        layer.remembered[sort_of] = _sort_of(layer)
    sort: str = layer.remembered[sort_of]
    return sort


def _sort_of(layer: Layer) -> str:
    work = layer.work
    match work:
        case Convolution():
            return "depthwise"
        case Elementwise(activation=True) if work.flops_per_element >= _COSTLY_FLOPS:
            return "costly activation"
        case Normalization(function="local_response"):
            return "response normalization"
        case Normalization() if work.group_elements:
            return "layer normalization"
        case Reduction() if _keeps_innermost(layer):
            return "column reduction"
        case Pooling() if work.window == work.stride and math.prod(work.window) > _LARGEST_LOCAL_WINDOW:
            return "global pooling"
        case Movement() if _moves_innermost(layer):
            return "transposition"
    return layer.kind.value


def bar_kind_of(layer: Layer) -> str:
    """What the calibration's error bars call the layer's kernel."""
    sort = sort_of(layer)
    return direct_bar_kind(sort, layer.work.direction) if isinstance(layer.work, Convolution) else sort


def _moves_innermost(layer: Layer) -> bool:
    """Whether a transposition makes neighbours in memory of values that were apart.

    One that keeps the innermost dimension copies whole rows, as any movement does; the record holds no
    permutation, so an unchanged innermost size counts as a kept dimension.
    """
    if not isinstance(layer.work, Movement) or "transpose" not in layer.work.function or not layer.inputs:
        return False
    before, after = layer.inputs[0].shape, layer.outputs[0].shape
    return bool(before and after) and before[-1] != after[-1]


def _keeps_innermost(layer: Layer) -> bool:
    """Whether a reduction runs over outer dimensions only: neighbours in memory then go to different sums.

    The record holds no axes, so an unchanged innermost size counts as a kept dimension.
    """
    if not layer.inputs or not layer.outputs:
        return False
    before, after = layer.inputs[0].shape, layer.outputs[0].shape
    return bool(before and after) and 1 < before[-1] == after[-1]


def groups_of(layer: Layer) -> int:
    """Rows that are reduced on their own."""
    work = layer.work
    match work:
        case Softmax():
            return work.rows
        case Normalization() if work.group_elements:
            return work.elements // work.group_elements
        case Reduction():
            return work.out_elements
        case Pooling() if sort_of(layer) == "global pooling":
            return work.out_elements
    return 0


def values_of(layer: Layer) -> int:
    """Independent work items: the results, except where they are few sums over many values.

    A convolution's weight gradient runs over the other gradient, and adds up its threads' sums then.
    """
    work = layer.work
    if isinstance(work, Convolution) and work.direction == "wgrad":
        return work.batch * work.out_channels * math.prod(work.out_size)
    return sum(tensor.elements for tensor in layer.outputs)


def taps_of(layer: Layer) -> int:
    """Values that one output gathers: a window, a filter, or a row of a matrix."""
    work = layer.work
    match work:
        case Pooling():
            return math.prod(work.window)
        case Convolution(direction="dgrad" | "wgrad"):
            return math.ceil(work.macs / max(1, values_of(layer)))
        case Convolution() | Matmul():
            return work.gemm.k
    return 1


def passes(layer: Layer) -> int:
    """Dependent sweeps: one for elementwise work, two where a statistic has to be known first."""
    work = layer.work
    if isinstance(work, Softmax):
        return 2
    if isinstance(work, Normalization):
        return 2 if work.group_elements else 1
    if isinstance(work, Convolution):
        return 2 if work.direction == "wgrad" else 1
    if isinstance(work, Reduction):
        return 2 if work.elements >= _VALUES_OF_TWO_SWEEPS * max(1, work.out_elements) else 1
    return 1


def traffic_factor(layer: Layer, dtype: DataType) -> float:
    """Traffic of the usual kernel in units of the compulsory traffic.

    Overlapping windows of a pooling hit in L1 and count once.
    """
    work = layer.work
    if isinstance(work, Embedding):
        return _gather_factor(work.width * dtype.bytes)
    group = 0
    if isinstance(work, Softmax):
        group = work.row_elements
    elif isinstance(work, Normalization):
        group = work.group_elements
    return _SECOND_PASS_FACTOR if group * dtype.bytes > _ROW_ON_CHIP_BYTES else 1.0


def _gather_factor(row_bytes: int) -> float:
    """Rows of a table are read by whole sectors, and written densely: short rows move more than they hold.

    A row starts at any multiple of the greatest common divisor of its length and a sector, so on average it touches
    ``(row + sector - divisor) / sector`` sectors.
    """
    touched = row_bytes + SECTOR_BYTES - math.gcd(row_bytes, SECTOR_BYTES)
    return (touched + row_bytes) / (2.0 * row_bytes)


def _algorithm(layer: Layer) -> str:
    if isinstance(layer.work, Convolution):
        return "direct depthwise kernel"
    return "matrix-vector kernel" if isinstance(layer.work, Matmul) else "streaming kernel"


def _notes(layer: Layer) -> tuple[str, ...]:
    if isinstance(layer.work, Convolution):
        return ("not im2col: a depthwise convolution runs as a direct streaming kernel",)
    return ()
