"""A table's rows as the products that a library's kernels tile, or as streaming kernels: sizes and bytes.

What :mod:`headroom.predict.kinds.layer_products` does for layers; a row has two spatial dimensions and no bias.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headroom.graph.tensor import DataType
from headroom.predict.cta_costs import torn_share
from headroom.predict.delta import ConvBatch
from headroom.predict.gemm_problems import Floats, Problems
from headroom.predict.kernel_sorts import LEAST_TRANSFORMED, STRIDED_GRADIENT, direction_of, fills_no_load
from headroom.predict.kernel_time import Channels
from headroom.predict.library import Tiled
from headroom.predict.table_input import LayerRows

Rows = NDArray[np.intp]


def tiled_of(rows: LayerRows, index: Rows, sort: str, dtype: DataType) -> Tiled:
    """Rows of one sort as the library sees them."""
    problems = problems_of(rows, index, sort, float(dtype.bytes))
    ones = np.ones(len(index))
    if sort in ("matmul", "wgrad", STRIDED_GRADIENT):
        channels = Channels(ones, ones * (sort == "matmul"), *[0.0 * ones] * 3)
        return Tiled(problems, ones, ones < 0.0, sort, channels=channels)
    size = {name: values[index] for name, values in rows.sizes.items()}
    taps = size["r"] * size["s"]
    can_transform = (rows.words["algorithm"][index] == "fastest") & (size["groups"] == 1)
    can_transform = can_transform & (np.minimum(size["r"], size["s"]) >= LEAST_TRANSFORMED)
    for step in ("stride_h", "stride_w", "dilation_h", "dilation_w"):
        can_transform = can_transform & (size[step] == 1)
    is_product = (taps == 1) & (np.maximum(size["stride_h"], size["stride_w"]) == 1)
    odd = {x: fills_no_load(size[x] / size["groups"], dtype).astype(np.float64) for x in ("c", "k")}
    if sort == "dgrad":
        channels = Channels(ones, is_product.astype(np.float64), odd["k"], odd["c"], 0.0 * ones)
        return Tiled(problems, ones, can_transform, sort, _input_gradients(size, dtype), channels)
    channels = Channels(taps, is_product.astype(np.float64), odd["c"], odd["k"], 0.0 * ones)
    return Tiled(problems, taps, can_transform, sort, convolutions(rows, index, dtype), channels)


def _input_gradients(size: dict[str, Floats], dtype: DataType) -> ConvBatch:
    """Input gradients of unit steps as the forward convolutions that they are, with their channels exchanged."""
    ones, none = np.ones_like(size["n"]), np.zeros_like(size["n"])
    return ConvBatch(
        size["n"], size["k"], size["p"], size["q"], size["c"], size["r"], size["s"], ones, ones, none, none,
        size["dilation_h"], size["dilation_w"], size["groups"], size["h"], size["w"], ones * float(dtype.bytes),
    )  # fmt: skip


def problems_of(rows: LayerRows, index: Rows, sort: str, width: float) -> Problems:
    """The products of rows of one sort.

    Kernels for input gradients walk over all taps of the filter and multiply zeros where longer steps leave nothing to
    meet; those of :data:`STRIDED_GRADIENT` leave these taps out.
    """
    size = {name: values[index] for name, values in rows.sizes.items()}
    if sort == "matmul":
        m, n, k, b = size["m"], size["n"], size["k"], size["batch"]
        a, w, out = b * m * k * width, b * k * n * width, b * m * n * width
        return Problems(m, n, k, b, a, w, out, np.ones_like(m))
    n, c, k, g = size["n"], size["c"], size["k"], size["groups"]
    taps = size["r"] * size["s"]
    positions = n * size["p"] * size["q"]
    images, outputs = n * c * size["h"] * size["w"] * width, positions * k * width
    weights = k * (c / g) * taps * width
    if direction_of(sort) == "dgrad":
        m, columns = n * size["h"] * size["w"], c / g
        depth = k / g * taps
        if sort == STRIDED_GRADIENT:
            depth = np.ceil(positions * k * c * taps / g / (g * m * columns))
        return Problems(m, columns, depth, g, outputs, weights, images, np.ones_like(m))
    if sort == "wgrad":
        return Problems(k / g, c / g * taps, positions, g, outputs, images, weights, np.ones_like(n))
    reuse = np.minimum(1.0, size["stride_w"] / size["s"])
    images, torn = np.round(images * _read_share(size)), torn_share(size["p"] * size["q"], width)
    return Problems(positions, k / g, c / g * taps, g, images, weights, outputs, reuse, torn)


def convolutions(rows: LayerRows, index: Rows, dtype: DataType) -> ConvBatch:
    """Forward convolutions as DeLTA takes them."""
    size = {name: values[index] for name, values in rows.sizes.items()}
    return ConvBatch.build(
        n=size["n"], c=size["c"], h=size["h"], w=size["w"], k=size["k"], r=size["r"], s=size["s"],
        stride_h=size["stride_h"], stride_w=size["stride_w"], pad_h=size["padding_h"],
        pad_w=size["padding_w"], dilation_h=size["dilation_h"], dilation_w=size["dilation_w"],
        groups=size["groups"], bytes_per_element=dtype.bytes,
    )  # fmt: skip


def forward_macs(rows: LayerRows, index: Rows) -> Floats:
    size = {name: values[index] for name, values in rows.sizes.items()}
    taps = size["r"] * size["s"]
    return size["n"] * size["p"] * size["q"] * size["k"] * size["c"] * taps / size["groups"]


def _read_share(size: dict[str, Floats]) -> Floats:
    """Share of the input that is read at all: a stride beyond the filter steps over positions."""
    share = np.ones_like(size["n"])
    for image, out, taps, stride in (("h", "p", "r", "stride_h"), ("w", "q", "s", "stride_w")):
        part = np.minimum(1.0, size[out] * size[taps] / size[image])
        share = share * np.where(size[stride] > size[taps], part, 1.0)
    return share
