"""Convolution by the Fourier transform: a product per frequency instead of a sum per tap.

*Whole*: each image is transformed as one square of a power of two. *Tiled*: squares of 32x32 that overlap by the
filter, one after another, so a large image takes three launches per square. The spectrum of real values is half
redundant: 32 x 17 complex numbers of 32 x 32 reals. (Mathieu, Henaff and LeCun 2014; launches and grids as recorded
runs show them.)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headroom.predict.delta import ConvBatch
from headroom.predict.gemm_time import Estimate, Floats
from headroom.predict.transformed.parts import COMPLEX_BYTES, Machinery, data_transform, in_turn, product

#: Side of a tile, and the sides that a whole image may be filled up to.
TILE_SIDE = 32.0
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
    rows = np.ceil(convs.out_h / (TILE_SIDE - convs.r + 1.0))
    columns = np.ceil(convs.out_w / (TILE_SIDE - convs.s + 1.0))
    return _transformed(convs, np.full_like(rows, TILE_SIDE), rows * columns, machinery)


def _transformed(convs: ConvBatch, side: Floats, squares: Floats, machinery: Machinery) -> Estimate:
    """Per square of all images: forward transform, one product per frequency, inverse; the filters' transform once."""
    size = convs.bytes_per_element
    bins = side * (side / 2.0 + 1.0)
    spectrum = bins * COMPLEX_BYTES
    images, outputs, filters = convs.n * convs.c, convs.n * convs.k, convs.k * convs.c
    seen = np.minimum(side * side, convs.h * convs.w) * size
    kept = convs.out_h * convs.out_w / squares * size
    return in_turn(
        (data_transform(filters * convs.taps * size, filters * spectrum, machinery, machinery.l2_state), 1.0),
        (data_transform(images * seen, images * spectrum, machinery, machinery.l2_state), squares),
        (data_transform(outputs * spectrum, outputs * kept, machinery), squares),
        (product(convs.n, convs.k, convs.c, bins, COMPLEX_BYTES, machinery), squares),
    )
