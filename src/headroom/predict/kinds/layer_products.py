"""Layers as the products that a library's kernels tile: sizes, bytes, and what single kernels ask of them.

What does not depend on the data type is found once per layer: an answer asks for every layer in every type.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution, Gemm
from headroom.predict.cta_costs import torn_share
from headroom.predict.delta import ConvBatch
from headroom.predict.gemm_problems import Floats, Problems
from headroom.predict.kernel_sorts import LEAST_TRANSFORMED, STRIDED_GRADIENT, convolution_sorts, fills_no_load
from headroom.predict.kernel_time import Channels
from headroom.predict.kinds.context import Context
from headroom.predict.library import TRANSFORMED_SORTS, Tiled

#: Up to this many channels per group, grouped convolutions run as direct kernels: a tile would be mostly empty.
DIRECT_GROUP_CHANNELS = 4


class _Views(NamedTuple):
    """What of layers holds in any data type, as arrays of shape (P,).

    ``k`` is what usual kernels sum over, ``met_k`` what those do that leave out the taps that meet nothing;
    ``b_values`` are those of B where no constant is B (0 for a matrix product, of which A reads ``a_share``). The rest
    is as in :class:`Problems`, :class:`Tiled` and :class:`Channels`; flags are 0 or 1.
    """

    m: Floats
    n: Floats
    k: Floats
    met_k: Floats
    batch: Floats
    a_reuse: Floats
    taps: Floats
    can_transform: Floats
    is_product: Floats
    group_in: Floats
    group_out: Floats
    has_bias: Floats
    is_convolution: Floats
    result_row: Floats
    a_share: Floats
    b_values: Floats


def is_direct(layer: Layer) -> bool:
    """Whether the layer is a depthwise convolution, or so nearly one that no tile fits it."""
    work = layer.work
    if not isinstance(work, Convolution) or work.groups == 1:
        return False
    per_group = max(work.in_channels, work.out_channels) // work.groups
    return per_group <= DIRECT_GROUP_CHANNELS


def sorts_of(layers: Sequence[Layer], context: Context) -> list[str]:
    """``matmul``, a convolution's direction, or the sort of kernel that it has constants of its own for."""
    sorts = [x.work.direction if isinstance(x.work, Convolution) else "matmul" for x in layers]
    forward = [i for i, sort in enumerate(sorts) if sort == "forward"]
    special = forward_sorts([layers[i] for i in forward], context.dtype, context.unit)
    known = {sort: context.calibration.has_own(context.gpu, context.dtype, sort) for sort in {*special}}
    for i, sort in zip(forward, special, strict=True):
        if known[sort]:
            sorts[i] = sort
    if context.calibration.has_own(context.gpu, context.dtype, STRIDED_GRADIENT):
        sorts = [STRIDED_GRADIENT if _is_strided_gradient(x) else s for x, s in zip(layers, sorts, strict=True)]
    return sorts


def _is_strided_gradient(layer: Layer) -> bool:
    work = layer.work
    return isinstance(work, Convolution) and work.direction == "dgrad" and max(work.stride, default=1) > 1


def forward_sorts(layers: Sequence[Layer], dtype: DataType, unit: str) -> list[str]:
    """Of forward convolutions, whatever the calibration has constants for."""
    rows = [_shape(layer) for layer in layers]
    columns = np.array(rows, dtype=np.float64).reshape(-1, len(_SHAPE)).T
    is_biased = np.array([_has_bias(layer) for layer in layers], dtype=bool)
    found: list[str] = convolution_sorts(dict(zip(_SHAPE, columns, strict=True)), is_biased, dtype, unit).tolist()
    return found


def _has_bias(layer: Layer) -> bool:
    """Whether a third operand is added: what is trained comes in as an input, not as a constant."""
    return len(layer.inputs) + len(layer.weights) > 2


#: What the sort of a forward convolution follows from.
_SHAPE = ("in_channels", "out_channels", "groups", "taps", "step", "positions")


def _shape(layer: Layer) -> tuple[int, ...]:
    if _shape not in layer.remembered:
        work = layer.work
        if not isinstance(work, Convolution):
            raise TypeError(f"layer {layer.name!r} of kind {layer.kind} is no convolution")
        taps, step = math.prod(work.kernel), max(work.stride, default=1)
        positions = work.batch * math.prod(work.out_size)
        layer.remembered[_shape] = (work.in_channels, work.out_channels, work.groups, taps, step, positions)
    found: tuple[int, ...] = layer.remembered[_shape]
    return found


def tiled_of(layers: Sequence[Layer], dtype: DataType, sort: str, *, sized: bool = True) -> Tiled:
    """Layers of one sort as the library sees them; ``sized`` with the sizes that the models of transformed kernels and
    of the counters ask for.
    """
    view = _views(layers)
    works = [layer.work for layer in layers]
    alike = [work for work in works if isinstance(work, Convolution) and work.direction in TRANSFORMED_SORTS]
    convs = ConvBatch.of(alike, dtype.bytes) if sized and len(alike) == len(works) else None
    odd_in, odd_out = (view.is_convolution * fills_no_load(side, dtype) for side in (view.group_in, view.group_out))
    channels = Channels(view.taps, view.is_product, odd_in, odd_out, view.has_bias)
    return Tiled(problems_of(layers, dtype, sort), view.taps, view.can_transform > 0, sort, convs, channels)


def problems_of(layers: Sequence[Layer], dtype: DataType, sort: str) -> Problems:
    """The products of layers that have a GEMM view, with the bytes their tensors really have."""
    view = _views(layers)
    width = float(dtype.bytes)
    read = np.array([layer.bytes_read(dtype) for layer in layers], dtype=np.float64)
    out = np.array([layer.bytes_written(dtype) for layer in layers], dtype=np.float64)
    weights = np.array([sum(tensor.bytes(dtype) for tensor in layer.weights) for layer in layers], dtype=np.float64)
    is_convolution = view.is_convolution > 0
    b = np.where(is_convolution, np.where(weights > 0.0, weights, view.b_values * width), read * (1.0 - view.a_share))
    a = np.where(is_convolution, np.maximum(read - b, 0.0), read * view.a_share)
    k = view.met_k if sort == STRIDED_GRADIENT else view.k
    torn = torn_share(view.result_row, width)
    return Problems(view.m, view.n, k, view.batch, a, b, out, view.a_reuse, torn)


def _views(layers: Sequence[Layer]) -> _Views:
    rows = []
    for layer in layers:
        if _views not in layer.remembered:
            layer.remembered[_views] = _view(layer)
        rows.append(layer.remembered[_views])
    return _Views(*np.array(rows, dtype=np.float64).reshape(len(rows), len(_Views._fields)).T)


def _view(layer: Layer) -> tuple[float, ...]:
    """The fields of :class:`_Views` for one layer."""
    work, gemm = layer.work, layer.gemm
    if gemm is None:
        raise TypeError(f"layer {layer.name!r} of kind {layer.kind} has no matrix product")
    has_bias = float(_has_bias(layer))
    if not isinstance(work, Convolution):
        a_share = gemm.m / (gemm.m + gemm.n) if gemm.m + gemm.n else 0.5
        return (
            gemm.m,
            gemm.n,
            gemm.k,
            gemm.k,
            gemm.batch,
            1.0,
            1.0,
            0.0,
            1.0,
            1.0,
            1.0,
            has_bias,
            0.0,
            0.0,
            a_share,
            0.0,
        )
    taps, steps = math.prod(work.kernel), max(work.stride, default=1)
    is_forward = work.direction == "forward"
    is_product = taps == 1 and steps == 1 and work.direction != "wgrad"
    tile = kernel_gemm(work)
    met_k = math.ceil(work.macs / max(1, tile.batch * tile.m * tile.n))
    return (
        tile.m, tile.n, tile.k, met_k, tile.batch, tile_reuse(work), taps if is_forward else 1.0, _can_transform(work),
        is_product, work.in_channels // work.groups, work.out_channels // work.groups, has_bias, 1.0,
        math.prod(work.out_size) if is_forward else 0.0, 0.0, _values_of_b(work),
    )  # fmt: skip


def kernel_gemm(work: Convolution) -> Gemm:
    """The product that an implicit-GEMM kernel tiles.

    The forward and weight-gradient views are the work's own. A kernel for an input gradient (or transposed
    convolution) gathers instead of scattering: M runs over the positions it writes, and K over all taps. Those that
    meet no value of what it reads, which longer steps leave in between, are multiplied as zeros.
    """
    if work.direction != "dgrad":
        return work.gemm
    taps, groups = math.prod(work.kernel), work.groups
    return Gemm(
        work.batch * math.prod(work.out_size), work.out_channels // groups, work.in_channels // groups * taps, groups
    )


def tile_reuse(work: Convolution) -> float:
    """Share of an im2col tile's elements that are different bytes: neighbouring taps read the same values.

    Along a row of outputs, a filter of S taps and stride s touches about s/S of the values that im2col
    lists; reuse between filter rows needs more than a K step and is left to L2.
    """
    if not work.kernel or work.direction != "forward":
        return 1.0
    return min(1.0, work.stride[-1] / work.kernel[-1])


def _can_transform(work: Convolution) -> bool:
    if work.groups > 1 or len(work.kernel) != 2:
        return False
    return min(work.kernel) >= LEAST_TRANSFORMED and all(step == 1 for step in (*work.stride, *work.dilation))


def _values_of_b(work: Convolution) -> int:
    """Values of a product's second operand: the filters, or the images of a weight gradient."""
    if work.direction == "wgrad":
        return work.batch * work.in_channels * math.prod(work.in_size)
    return work.out_channels * (work.in_channels // work.groups) * math.prod(work.kernel)
