"""Many convolutions as arrays: one array per dimension, one entry per layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from headroom.errors import ModelError
from headroom.graph.work import Convolution, Matmul

#: One figure per layer. Whole numbers below 2^53 are exact in it.
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ConvBatch:
    """Forward convolutions over two spatial dimensions; all fields have the same shape (layers,).

    ``pad_h`` and ``pad_w`` are total padding (both sides), so asymmetric padding is exact. ``r`` and ``s``
    may be fractions: the input gradient of a strided convolution meets r/stride taps per output on average.
    """

    n: Array
    c: Array
    h: Array
    w: Array
    k: Array
    r: Array
    s: Array
    stride_h: Array
    stride_w: Array
    pad_h: Array
    pad_w: Array
    dilation_h: Array
    dilation_w: Array
    groups: Array
    out_h: Array
    out_w: Array
    bytes_per_element: Array

    def __len__(self) -> int:
        return len(self.n)

    @property
    def gemm_m(self) -> Array:
        """Rows of the im2col GEMM: batch times output positions."""
        return self.n * self.out_h * self.out_w

    @property
    def gemm_n(self) -> Array:
        """Columns of one group's GEMM: its output channels."""
        return self.k / self.groups

    @property
    def gemm_k(self) -> Array:
        """Depth of one group's GEMM: its input channels times filter taps."""
        return np.maximum(self.c / self.groups * self.taps, 1.0)

    @property
    def taps(self) -> Array:
        return self.r * self.s

    @property
    def is_pointwise(self) -> npt.NDArray[np.bool_]:
        """Whether the paper's rule for 1x1 convolutions and fully-connected layers applies."""
        return self.taps <= 1.0

    @property
    def padded_h(self) -> Array:
        return self.h + self.pad_h

    @property
    def padded_w(self) -> Array:
        return self.w + self.pad_w

    @classmethod
    def build(
        cls, *, n: npt.ArrayLike, c: npt.ArrayLike, h: npt.ArrayLike, w: npt.ArrayLike, k: npt.ArrayLike,
        r: npt.ArrayLike, s: npt.ArrayLike, stride_h: npt.ArrayLike = 1, stride_w: npt.ArrayLike = 1,
        pad_h: npt.ArrayLike = 0, pad_w: npt.ArrayLike = 0, dilation_h: npt.ArrayLike = 1,
        dilation_w: npt.ArrayLike = 1, groups: npt.ArrayLike = 1, bytes_per_element: npt.ArrayLike = 4,
    ) -> ConvBatch:  # fmt: skip
        """Forward convolutions from their dimensions; ``pad_h`` and ``pad_w`` are per side here, as users say it.

        Scalars and arrays mix by numpy's broadcasting; output sizes follow.
        """
        values = [
            np.atleast_1d(np.asarray(value, dtype=np.float64))
            for value in (n, c, h, w, k, r, s, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w,
                          groups, bytes_per_element)
        ]  # fmt: skip
        n_, c_, h_, w_, k_, r_, s_, sh, sw, ph, pw, dh, dw, g, size = np.broadcast_arrays(*values)
        out_h = np.floor((h_ + 2 * ph - dh * (r_ - 1) - 1) / sh) + 1
        out_w = np.floor((w_ + 2 * pw - dw * (s_ - 1) - 1) / sw) + 1
        return cls(n_, c_, h_, w_, k_, r_, s_, sh, sw, 2 * ph, 2 * pw, dh, dw, g, out_h, out_w, size)

    @classmethod
    def of(cls, works: Iterable[Convolution | Matmul], bytes_per_element: float = 4.0) -> ConvBatch:
        """Layers as the graph describes them, gradients and matrix products included.

        Raises:
            ModelError: a convolution has more than three spatial dimensions.
        """
        rows = [_row(work) for work in works]
        names = [field.name for field in fields(cls)][:-1]
        columns = np.array(rows, dtype=np.float64).reshape(len(rows), len(names)).T
        sizes = np.full(len(rows), float(bytes_per_element))
        return cls(**dict(zip(names, columns, strict=True)), bytes_per_element=sizes)

    def take(self, indices: Sequence[int] | npt.NDArray[np.intp]) -> ConvBatch:
        """The layers at ``indices``, in that order."""
        return ConvBatch(*(getattr(self, field.name)[indices] for field in fields(self)))

    def column(self) -> ConvBatch:
        """The same layers with shape (layers, 1), to be combined with a GPU's numbers per layer."""
        return ConvBatch(*(getattr(self, field.name)[:, None] for field in fields(self)))


def _row(work: Convolution | Matmul) -> tuple[float, ...]:
    """The fields of :class:`ConvBatch` up to ``out_w``, in order."""
    if isinstance(work, Matmul):
        # A product (m x k)(k x n) is a 1x1 convolution of m images of one pixel (paper: "1x1 convolution
        # and FC layers"); a batch of products is as many groups.
        return (work.m, work.k * work.batch, 1, 1, work.n * work.batch, 1, 1, 1, 1, 0, 0, 1, 1, work.batch, 1, 1)
    if work.direction == "dgrad":
        return _input_gradient(work)
    if work.direction == "wgrad":
        return _weight_gradient(work)
    return _forward(work)


def _forward(work: Convolution) -> tuple[float, ...]:
    h, w = _folded(work.in_size)
    r, s = _folded(work.kernel)
    out_h, out_w = _folded(work.out_size)
    stride_h, stride_w = _last_two(work.stride)
    dilation_h, dilation_w = _last_two(work.dilation)
    pads = tuple(sum(pair) for pair in work.padding)
    # Depth is folded into height; so is its padding, in the number of rows it adds.
    pad_h = _folded(tuple(i + p for i, p in zip(work.in_size, pads, strict=True)))[0] - h
    return (
        work.batch, work.in_channels, h, w, work.out_channels, r, s, stride_h, stride_w,
        pad_h, pads[-1], dilation_h, dilation_w, work.groups, out_h, out_w,
    )  # fmt: skip


def _input_gradient(work: Convolution) -> tuple[float, ...]:
    """The input gradient, or a transposed convolution: channels swap roles, each output meets r/stride taps.

    The record is that of the *read* tensor for a transposed convolution (see
    :class:`~headroom.graph.work.Convolution`), so ``in_size`` is read and ``out_size`` is written.
    """
    h, w = _folded(work.in_size)
    out_h, out_w = _folded(work.out_size)
    r, s = _folded(work.kernel)
    stride_h = _product(work.stride[:-1])
    stride_w = work.stride[-1]
    dilation_h, dilation_w = _last_two(work.dilation)
    return (
        work.batch, work.in_channels, h, w, work.out_channels, r / stride_h, s / stride_w, 1, 1,
        0, 0, dilation_h, dilation_w, work.groups, out_h, out_w,
    )  # fmt: skip


def _weight_gradient(work: Convolution) -> tuple[float, ...]:
    """The weight gradient is a convolution too: the input's channels are its images, the images its channels,
    the output gradient its filters, stride and dilation trade places, and its output is the filter."""
    n, c, h, w, k, r, s, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups, out_h, out_w = _forward(work)
    return (
        c / groups, n * groups, h, w, k, out_h, out_w, dilation_h, dilation_w,
        pad_h, pad_w, stride_h, stride_w, groups, r, s,
    )  # fmt: skip


def _folded(size: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of a 1d, 2d or 3d size; depth and height are one dimension to the model."""
    if not 1 <= len(size) <= 3:
        raise ModelError(f"a convolution over {len(size)} spatial dimensions has no im2col view here; use 1, 2 or 3")
    return _product(size[:-1]), size[-1]


def _last_two(values: tuple[int, ...]) -> tuple[int, int]:
    return (values[-2] if len(values) > 1 else 1), values[-1]


def _product(values: tuple[int, ...]) -> int:
    product = 1
    for value in values:
        product *= value
    return product
