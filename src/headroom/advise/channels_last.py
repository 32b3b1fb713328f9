"""What PyTorch's own kernels take in channels_last, which no row tells: taken from recorded runs of 12 networks."""

from __future__ import annotations

from collections.abc import Iterator

from headroom import figures
from headroom.advise.batch_norm import batch_norm_us
from headroom.advise.timed import TimedGraph
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.work import Movement, Normalization, Pooling

#: Maximum pooling in NHWC: one CTA works through many windows, so that few windows take as long as many; in us, and
#: window elements per us once there are more.
_MAX_POOL_US = 22.0
_MAX_POOL_RATE = 0.65e6

#: Averages over space: a CTA adds up the rows of values that lie apart, in us and us per row, up to where several CTAs
#: share the rows.
_AVERAGE_US = 4.6
_AVERAGE_ROW_US = 0.012
_SHARED_ROWS, _SHARED_US = 1024, 8.0

#: Concatenation leaves its vectorised kernel in NHWC: what it takes beyond its start, in us, is longer by this factor.
_CONCAT_START_US = 1.2
_CONCAT = 2.5

#: What pooling takes in NCHW, in us: most take 2 to 5.
FAST_POOL_US = 4.0

#: Recorded pooling in channels_last lies around these figures by about as much.
_COSTS_ERROR_PCT = 20.0

#: A copy back into the model's order before a layer that wants it: the host's time as recorded and the GPU's, in us.
CONVERSION_US = (8.0, 2.0)


def channels_last_costs_us(timed: TimedGraph) -> tuple[float, float]:
    """What PyTorch's own kernels lose in channels_last where no run tells their times, and pooling's part of it."""
    lost_us = pooling_us = 0.0
    for index, (layer, time_us) in enumerate(zip(timed.graph.layers, timed.times_us, strict=True)):
        other_us = in_layout_us(layer, time_us, timed.dtype.bytes, nhwc=True)
        slow_us = slow_pool_us(layer)
        lost_us += other_us - time_us if other_us is not None else 0.0
        pooling_us += max(0.0, slow_us - max(time_us, FAST_POOL_US)) if slow_us is not None else 0.0
        lost_us += CONVERSION_US[1] if converts(timed.graph, index) else 0.0
    return lost_us + pooling_us, pooling_us


def told_costs(lost_us: float, pooling_us: float) -> str:
    """What PyTorch's own kernels lose in channels_last, and how much of it pooling does, for a finding's limits."""
    if lost_us <= 0:
        return "PyTorch's own kernels take no more of the GPU's time in channels_last"
    lost, pooling = figures.time(lost_us, _COSTS_ERROR_PCT), figures.time(pooling_us, _COSTS_ERROR_PCT)
    if pooling_us == lost_us:
        return f"PyTorch's own pooling takes {pooling} more of the GPU's time in channels_last, which is taken off"
    return (
        f"PyTorch's own pooling, concatenation and BatchNorm take {lost} more of the GPU's time in channels_last "
        f"({pooling} of it pooling), which is taken off"
    )


def in_layout_us(layer: Layer, time_us: float, value_bytes: float, *, nhwc: bool) -> float | None:
    """What a layer that took ``time_us`` in the other order of values takes in NHWC, or in NCHW.

    ``None`` for one whose time does not depend on the order, or not in a known way.
    """
    work, shape = layer.work, layer.outputs[0].shape
    if isinstance(work, Normalization) and work.function == "batch" and not work.group_elements and len(shape) == 4:
        return time_us * batch_norm_us(shape, value_bytes, nhwc=nhwc) / batch_norm_us(shape, value_bytes, nhwc=not nhwc)
    if isinstance(work, Movement) and work.function == "concat" and len(shape) == 4:
        factor = _CONCAT if nhwc else 1 / _CONCAT
        return time_us + (factor - 1.0) * max(0.0, time_us - _CONCAT_START_US)
    return None


def slow_pool_us(layer: Layer) -> float | None:
    """What a pooling layer takes in NHWC; ``None`` for what is no pooling over space."""
    work, shape = layer.work, layer.inputs[0].shape if layer.inputs else ()
    if isinstance(work, Pooling) and work.function == "max":
        return _MAX_POOL_US + work.flops / _MAX_POOL_RATE
    if isinstance(work, Pooling) or (layer.kind is LayerKind.REDUCTION and len(shape) == 4):
        rows = shape[-1] * shape[-2] if len(shape) == 4 else 1
        return _SHARED_US if rows > _SHARED_ROWS else _AVERAGE_US + _AVERAGE_ROW_US * rows
    return None


def converts(graph: Graph, index: int) -> bool:
    """Whether a convolution reads what a transpose returns: that is in NCHW order whatever the model is in."""
    return any(_transposes_read(graph, index))


def sets_its_layout(graph: Graph) -> bool:
    """Whether convolutions read what the model's own code permutes to NCHW: their input then lies in NHWC, always.

    A permute moves no values, so that a tensor which a norm over channels wrote in NHWC stays in that order.
    """
    axes = (each for index in range(len(graph.layers)) for each in _transposes_read(graph, index))
    return any(each == _TO_NCHW for each in axes)


#: What turns a tensor of the shape (N, H, W, C) to (N, C, H, W).
_TO_NCHW = (0, 3, 1, 2)


def _transposes_read(graph: Graph, index: int) -> Iterator[tuple[int, ...]]:
    """The axes of each transpose whose result a convolution reads, as it is or through views and slices."""
    if graph.layers[index].kind is not LayerKind.CONVOLUTION:
        return
    waiting = list(graph.predecessors[index])
    while waiting:
        earlier = waiting.pop()
        work = graph.layers[earlier].work
        if isinstance(work, Movement) and work.axes:
            yield work.axes
        elif not graph.layers[earlier].kind.does_work or (isinstance(work, Movement) and work.partial_read):
            waiting += graph.predecessors[earlier]
