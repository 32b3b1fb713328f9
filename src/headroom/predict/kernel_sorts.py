"""Which of a library's kernels runs a convolution, told from its shape: each sort has constants of its own.

A forward convolution with one filter tap and unit steps is a plain matrix product, which the product library runs;
with one output position it is a matrix times a vector. Tensor cores load 16 bytes at once: channels that do not
fill them go to older kernels or are padded first. Images of few channels and groups have their own kernels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headroom.graph.tensor import DataType
from headroom.predict.gemm_problems import Floats

#: Up to this many input channels a convolution reads an image, not features.
_IMAGE_CHANNELS = 4

#: Bytes of neighbouring channels that a tensor-core kernel loads at once.
_VECTOR_BYTES = 16

#: Taps a side from which Winograd's and the FFT's kernels take a filter.
LEAST_TRANSFORMED = 3

#: Forward convolutions that are none of these are of the sort ``forward``.
CONVOLUTION_SORTS = ("grouped", "vector", "stem", "unaligned", "pointwise", "biased")


def convolution_sorts(
    size: dict[str, Floats], is_biased: NDArray[np.bool_], dtype: DataType, unit: str
) -> NDArray[np.str_]:
    """The sort of each forward convolution, shape (P,).

    ``size`` holds ``in_channels``, ``out_channels``, ``groups``, ``taps`` (of the whole filter), ``step`` (the longest
    stride) and ``positions`` (output positions over the batch). A bias opens kernels of fused arithmetic.
    """
    misfit = fills_no_load(size["in_channels"], dtype) | fills_no_load(size["out_channels"], dtype)
    tests = (
        size["groups"] > 1,
        size["positions"] == 1,
        size["in_channels"] <= _IMAGE_CHANNELS,
        misfit & (unit == "tensor"),
        (size["taps"] == 1) & (size["step"] == 1),
        is_biased,
    )
    sorts: NDArray[np.str_] = np.select(tests, CONVOLUTION_SORTS, default="forward")
    return sorts


#: Input gradients of convolutions with longer steps: a result meets few of the taps, and which ones depends on where it
#: lies. Kernels for it gather one by one.
STRIDED_GRADIENT = "strided dgrad"


def direction_of(sort: str) -> str:
    """The pass that kernels of ``sort`` run; what has no sort of its own is called by its direction."""
    return "dgrad" if sort == STRIDED_GRADIENT else sort


def fills_no_load(channels: Floats | int, dtype: DataType) -> NDArray[np.bool_]:
    """Whether ``channels`` neighbours in memory leave a tensor-core kernel's 16-byte load partly empty."""
    odd: NDArray[np.bool_] = np.asarray(channels % max(1, _VECTOR_BYTES // dtype.bytes) != 0)
    return odd


_BAR_KINDS = {"forward": "convolution", "dgrad": "input gradient", "wgrad": "weight gradient"}

#: By the error bars' name of a gradient, the sort that its kernels have constants for where any were timed. With unit
#: steps an input gradient runs on forward kernels, but nobody who has not timed the others knows how well.
GRADIENT_SORTS = {"input gradient": STRIDED_GRADIENT, "weight gradient": "wgrad"}


def bar_kind(sort: str) -> str:
    """What the calibration's error bars call the kernels of ``sort``."""
    direction = direction_of(sort)
    return _BAR_KINDS.get(direction, sort)


def direct_bar_kind(sort: str, direction: str) -> str:
    """:func:`bar_kind` of a kernel without multiplier tiles that runs a convolution's ``direction``."""
    return f"{sort} {_BAR_KINDS[direction]}" if direction in ("dgrad", "wgrad") else sort


def unseen_kind(gradient: str) -> str:
    """The bars of a gradient that was predicted by constants of forward kernels alone."""
    return f"unseen {gradient}"
