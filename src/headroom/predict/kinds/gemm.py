"""Convolutions, matrix products and matrix-vector products: tiles on tensor cores or plain units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution, Gemm, Work
from headroom.predict.cta_costs import torn_share
from headroom.predict.delta import ConvBatch
from headroom.predict.error_groups import product_bars
from headroom.predict.gemm_time import Estimate, Problems
from headroom.predict.im2col_traffic import with_cache_bytes
from headroom.predict.kernel_sorts import (
    LEAST_TRANSFORMED,
    STRIDED_GRADIENT,
    convolution_sorts,
    direction_of,
    fills_no_load,
)
from headroom.predict.kernel_time import Channels
from headroom.predict.kinds.context import Context
from headroom.predict.kinds.streaming import predict_streams
from headroom.predict.kinds.terms import longest
from headroom.predict.library import TRANSFORMED_SORTS, Choice, Tiled, fastest
from headroom.predict.memory_bound import transposition_us
from headroom.predict.prediction import Bottleneck, Prediction, Source
from headroom.predict.roofline import floors_us
from headroom.predict.transformed import title

#: Up to this many channels per group, grouped convolutions run as direct kernels: a tile would be mostly empty.
DIRECT_GROUP_CHANNELS = 4


def predict_convolutions(layers: Sequence[Layer], context: Context) -> list[Prediction]:
    """Depthwise layers as streaming kernels, the others as implicit GEMMs."""
    direct = [is_direct(layer) for layer in layers]
    streams = iter(predict_streams([x for x, d in zip(layers, direct, strict=True) if d], context))
    tiled = iter(predict_gemms([x for x, d in zip(layers, direct, strict=True) if not d], context))
    return [next(streams) if d else next(tiled) for d in direct]


def is_direct(layer: Layer) -> bool:
    """Whether the layer is a depthwise convolution, or so nearly one that no tile fits it."""
    work = layer.work
    if not isinstance(work, Convolution) or work.groups == 1:
        return False
    per_group = max(work.in_channels, work.out_channels) // work.groups
    return per_group <= DIRECT_GROUP_CHANNELS


def predict_gemms(layers: Sequence[Layer], context: Context) -> list[Prediction]:
    """Every layer with the fastest of the library's tiles."""
    if not layers:
        return []
    groups: dict[str, list[int]] = {}
    for index, sort in enumerate(sorts_of(layers, context)):
        groups.setdefault(sort, []).append(index)
    answers: dict[int, Prediction] = {}
    for sort, members in groups.items():
        group = _predict_group([layers[i] for i in members], context, sort)
        answers.update(zip(members, group, strict=True))
    return [answers[i] for i in range(len(layers))]


def sorts_of(layers: Sequence[Layer], context: Context) -> list[str]:
    """``matmul``, a convolution's direction, or the sort of kernel that it has constants of its own for."""
    sorts = [x.work.direction if isinstance(x.work, Convolution) else "matmul" for x in layers]
    forward = [i for i, sort in enumerate(sorts) if sort == "forward"]
    for i, sort in zip(forward, forward_sorts([layers[i] for i in forward], context.dtype, context.unit), strict=True):
        if context.calibration.has_own(context.gpu, context.dtype, sort):
            sorts[i] = sort
    if context.calibration.has_own(context.gpu, context.dtype, STRIDED_GRADIENT):
        sorts = [STRIDED_GRADIENT if _is_strided_gradient(x.work) else s for x, s in zip(layers, sorts, strict=True)]
    return sorts


def _is_strided_gradient(work: Work) -> bool:
    return isinstance(work, Convolution) and work.direction == "dgrad" and max(work.stride, default=1) > 1


def forward_sorts(layers: Sequence[Layer], dtype: DataType, unit: str) -> list[str]:
    """Of forward convolutions, whatever the calibration has constants for."""
    names = ("in_channels", "out_channels", "groups", "taps", "step", "positions")
    works = [layer.work for layer in layers if isinstance(layer.work, Convolution)]
    rows = [
        (w.in_channels, w.out_channels, w.groups, math.prod(w.kernel), max(w.stride, default=1), w.gemm.m)
        for w in works
    ]
    columns = np.array(rows, dtype=np.float64).reshape(-1, len(names)).T
    is_biased = np.array([len(layer.weights) > 1 for layer in layers], dtype=bool)
    sorts = convolution_sorts(dict(zip(names, columns, strict=True)), is_biased, dtype, unit)
    return [str(sort) for sort in sorts]


def tiled_of(layers: Sequence[Layer], dtype: DataType, sort: str) -> Tiled:
    """Layers of one sort as the library sees them."""
    works = [layer.work for layer in layers]
    taps = np.array([_taps(work) for work in works], dtype=np.float64)
    can_transform = np.array([_can_transform(work) for work in works], dtype=bool)
    alike = [work for work in works if isinstance(work, Convolution) and work.direction in TRANSFORMED_SORTS]
    convs = ConvBatch.of(alike, dtype.bytes) if len(alike) == len(works) else None
    channels = np.array([_channels(layer, dtype) for layer in layers], dtype=np.float64).reshape(-1, 5).T
    return Tiled(problems_of(layers, dtype), taps, can_transform, sort, convs, Channels(*channels))


def _channels(layer: Layer, dtype: DataType) -> tuple[float, ...]:
    """The fields of :class:`Channels` for one layer."""
    work = layer.work
    taps, has_bias = _taps(work), float(len(layer.weights) > 1)
    if not isinstance(work, Convolution):
        return taps, 1.0, 0.0, 0.0, has_bias
    is_product = taps == 1 and all(step == 1 for step in work.stride)
    sides = (work.in_channels // work.groups, work.out_channels // work.groups)
    return taps, float(is_product), *(float(fills_no_load(side, dtype)) for side in sides), has_bias


def _taps(work: Work) -> int:
    """Filter taps that a forward convolution's K runs over; 1 for whatever has none."""
    return math.prod(work.kernel) if isinstance(work, Convolution) and work.direction == "forward" else 1


def _can_transform(work: Work) -> bool:
    if not isinstance(work, Convolution) or work.groups > 1 or len(work.kernel) != 2:
        return False
    return min(work.kernel) >= LEAST_TRANSFORMED and all(step == 1 for step in (*work.stride, *work.dilation))


def _predict_group(layers: Sequence[Layer], context: Context, sort: str) -> list[Prediction]:
    tiled = tiled_of(layers, context.dtype, sort)
    problems = tiled.problems
    choice = fastest(tiled, context.gpu, context.dtype, context.calibration, context.l2_state)
    best = choice.estimate
    if context.unit == "plain" and tiled.convs is not None and direction_of(sort) != "dgrad":
        direct = choice.transformed == ""
        stored = problems.c_bytes
        best = with_cache_bytes(best, tiled.convs, choice.tiles, stored, context.gpu, context.dtype, where=direct)
    if context.transposes and isinstance(layers[0].work, Convolution):
        extra = transposition_us(
            problems.a_bytes, problems.c_bytes, context.gpu, context.stream_constants, context.l2_state
        )
        best = replace(best, time_us=best.time_us + extra)
    floors = floors_us(layers, context.gpu, context.dtype, context.l2_state)
    choice = replace(choice, estimate=best)
    bars = product_bars(
        problems, best, choice.transformed, sort, context.gpu, context.dtype, context.l2_state,
        context.calibration,
    )  # fmt: skip
    return [_prediction(i, layer, floors[i], choice, float(bars[i]), context) for i, layer in enumerate(layers)]


def problems_of(layers: Sequence[Layer], dtype: DataType) -> Problems:
    """The products of layers that have a GEMM view, with the bytes their tensors really have."""
    rows = [_problem(layer, dtype) for layer in layers]
    return Problems(*(np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)))


def _problem(layer: Layer, dtype: DataType) -> tuple[float, ...]:
    gemm = layer.gemm
    if gemm is None:
        raise TypeError(f"layer {layer.name!r} of kind {layer.kind} has no matrix product")
    out = float(layer.bytes_written(dtype))
    if isinstance(layer.work, Convolution):
        weights = float(sum(tensor.bytes(dtype) for tensor in layer.weights))
        data = max(float(layer.bytes_read(dtype)) - weights, 0.0)
        if weights == 0.0:
            weights = float(layer.work.out_channels * gemm.k * dtype.bytes)
            data = max(data - weights, 0.0)
        gemm = kernel_gemm(layer.work)
        torn = float(torn_share(np.array(_result_row(layer.work)), float(dtype.bytes)))
        return gemm.m, gemm.n, gemm.k, gemm.batch, data, weights, out, tile_reuse(layer.work), torn
    read = float(layer.bytes_read(dtype))
    a_share = _a_share(gemm)
    return gemm.m, gemm.n, gemm.k, gemm.batch, read * a_share, read * (1.0 - a_share), out, 1.0, 0.0


def kernel_gemm(work: Convolution) -> Gemm:
    """The product that an implicit-GEMM kernel tiles.

    The forward and weight-gradient views are the work's own. A kernel for an input gradient (or transposed
    convolution) gathers instead of scattering: M runs over the positions it writes, and K over the
    taps that meet such a position, which are ``stride`` times fewer per dimension.
    """
    if work.direction != "dgrad":
        return work.gemm
    m = work.batch * math.prod(work.out_size)
    n = work.out_channels // work.groups
    k = math.ceil(work.macs / max(1, work.groups * m * n))
    return Gemm(m, n, k, work.groups)


def _a_share(gemm: Gemm) -> float:
    """Share of the operand bytes that belong to A."""
    return gemm.m / (gemm.m + gemm.n) if gemm.m + gemm.n else 0.5


def tile_reuse(work: Convolution) -> float:
    """Share of an im2col tile's elements that are different bytes: neighbouring taps read the same values.

    Along a row of outputs, a filter of S taps and stride s touches about s/S of the values that im2col
    lists; reuse between filter rows needs more than a K step and is left to L2.
    """
    if not work.kernel or work.direction != "forward":
        return 1.0
    return min(1.0, work.stride[-1] / work.kernel[-1])


def _result_row(work: Convolution) -> float:
    """Neighbouring results of one channel, in NCHW order; a gradient's rows are taken as aligned."""
    return float(math.prod(work.out_size)) if work.direction == "forward" else 0.0


def _prediction(
    index: int, layer: Layer, floor: float, choice: Choice, error_pct: float, context: Context
) -> Prediction:
    best, tiles = choice.estimate, choice.tiles
    name = str(choice.transformed[index])
    # The floor is that of the direct arithmetic, which a transformed kernel undercuts.
    floor = min(floor, float(best.time_us[index])) if name else floor
    time = max(float(best.time_us[index]), floor)
    return Prediction(
        time_us=time,
        error_pct=error_pct,
        source=Source.PREDICTED,
        bottleneck=bottleneck_of(index, best),
        floor_us=floor,
        l1_bytes=float(best.l1_bytes[index]),
        l2_bytes=float(best.l2_bytes[index]),
        dram_bytes=float(best.dram_bytes[index]),
        algorithm=_algorithm(layer, choice, index, context.unit),
        tile=(int(tiles.m[index]), int(tiles.n[index]), int(tiles.k[index])) if tiles.m[index] else None,
        ctas=int(best.ctas[index]),
        waves=float(best.waves[index]),
        tail_utilization=float(best.tail_utilization[index]),
        notes=notes_of(layer, name, context),
    )


def bottleneck_of(index: int, best: Estimate) -> Bottleneck:
    """The longest term."""
    terms = {
        Bottleneck.COMPUTE: best.compute_us[index],
        Bottleneck.L2: best.l2_us[index],
        Bottleneck.DRAM: best.dram_us[index],
        Bottleneck.LATENCY: best.latency_us[index],
        Bottleneck.LAUNCH: best.launch_us[index],
    }
    return longest(terms)


def _algorithm(layer: Layer, choice: Choice, index: int, unit: str) -> str:
    tiles = choice.tiles
    if choice.transformed[index]:
        return f"{title(str(choice.transformed[index]))}, on plain units"
    name = "implicit GEMM" if isinstance(layer.work, Convolution) else "GEMM"
    split = int(tiles.splits[index])
    suffix = f", K split {split} ways" if split > 1 else ""
    where = "tensor cores" if unit == "tensor" else "plain units"
    return f"{name} on {where}, {int(tiles.m[index])}x{int(tiles.n[index])} tiles{suffix}"


def notes_of(layer: Layer, transformed: str, context: Context) -> tuple[str, ...]:
    """Sentences that name a layer whose kernel is not im2col (``transformed``), or that runs more than one kernel."""
    work = layer.work
    if not isinstance(work, Convolution):
        return ()
    notes: list[str] = []
    if context.transposes and work.direction == "forward":
        notes.append("the time contains the kernels that transpose NCHW tensors to NHWC and back")
    if transformed:
        notes.append(f"not im2col: the library runs it faster by another algorithm ({title(transformed)})")
    return tuple(notes)
