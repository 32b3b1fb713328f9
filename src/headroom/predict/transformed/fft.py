"""Convolution by the Fourier transform: a product per frequency instead of a sum per tap.

*Whole*: each image is transformed as one square of a power of two. *Tiled*: squares of 32x32 that overlap by the
filter, one after another, so a large image takes three launches per square. *Tiled at once*, as Hopper's library does:
all squares of all images in one launch of each kernel, of 16x16 or 32x32, whichever is faster. The spectrum of real
values is half redundant: 32 x 17 complex numbers of 32 x 32 reals. (Mathieu, Henaff and LeCun 2014; launches and grids
as recorded runs show them.)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headroom.predict.delta import ConvBatch
from headroom.predict.gemm_problems import Floats
from headroom.predict.gemm_time import Estimate
from headroom.predict.transformed.parts import COMPLEX_BYTES, Machinery, data_transform, in_turn, product

#: Side of a tile, of tiles that run at once, and the sides that a whole image may be filled up to.
TILE_SIDE = 32.0
SIDES_AT_ONCE = (16.0, TILE_SIDE)
WHOLE_SIDES = (8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


def whole(convs: ConvBatch, machinery: Machinery) -> Estimate:
    """Every image as one square; a size beyond the largest square takes forever, so that it is never chosen."""
    reach = np.maximum(convs.out_h + convs.r, convs.out_w + convs.s) - 1.0
    side = np.full_like(reach, np.inf)
    for candidate in reversed(WHOLE_SIDES):
        side = np.where(reach <= candidate, candidate, side)
    fits = np.isfinite(side)
    found = _transformed(convs, np.where(fits, side, TILE_SIDE), np.ones_like(side), machinery)
    return replace(found, time_us=np.where(fits, found.time_us, np.inf))


def tiled(convs: ConvBatch, machinery: Machinery) -> Estimate:
    """Squares of 32x32, each of which gives the outputs that its overlap with the next leaves whole."""
    squares = _squares(convs, TILE_SIDE)
    return _transformed(convs, np.full_like(squares, TILE_SIDE), squares, machinery)


def tiled_at_once(convs: ConvBatch, machinery: Machinery) -> Estimate:
    """All squares together, with the faster of both sides."""
    small, large = (_at_once(convs, side, machinery) for side in SIDES_AT_ONCE)
    wins = small.time_us <= large.time_us
    return Estimate(*(np.where(wins, getattr(small, name), getattr(large, name)) for name in Estimate.__slots__))


def _at_once(convs: ConvBatch, side: float, machinery: Machinery) -> Estimate:
    squares = _squares(convs, side)
    found = _transformed(convs, np.full_like(squares, side), squares, machinery, at_once=squares)
    return replace(found, time_us=np.where(np.maximum(convs.r, convs.s) <= side, found.time_us, np.inf))


def _squares(convs: ConvBatch, side: float) -> Floats:
    """How many squares an image is cut into; a filter as large as a square leaves one output of each."""
    rows = np.ceil(convs.out_h / np.maximum(1.0, side - convs.r + 1.0))
    columns = np.ceil(convs.out_w / np.maximum(1.0, side - convs.s + 1.0))
    squares: Floats = rows * columns
    return squares


def _transformed(
    convs: ConvBatch, side: Floats, squares: Floats, machinery: Machinery, at_once: Floats | float = 1.0
) -> Estimate:
    """Forward transform, one product per frequency and inverse, of ``at_once`` squares of all images in one launch
    each; the filters' transform once.
    """
    size = convs.bytes_per_element
    bins = side * (side / 2.0 + 1.0)
    spectrum = bins * COMPLEX_BYTES
    images, outputs, filters = convs.n * convs.c, convs.n * convs.k, convs.k * convs.c
    launches = squares / at_once
    seen = np.minimum(side * side * at_once, convs.h * convs.w) * size
    kept = convs.out_h * convs.out_w / launches * size
    read, written = images * spectrum * at_once, outputs * spectrum * at_once
    return in_turn(
        (data_transform(filters * convs.taps * size, filters * spectrum, machinery, machinery.l2_state), 1.0),
        (data_transform(images * seen, read, machinery, machinery.l2_state), launches),
        (data_transform(written, outputs * kept, machinery), launches),
        (product(convs.n * at_once, convs.k, convs.c, bins, COMPLEX_BYTES, machinery), launches),
    )
