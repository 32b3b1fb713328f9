"""Matrix products as libraries take them: (batch, m, k) times (batch, k, n), each factor stored as the model has it."""

from __future__ import annotations

import math

from headroom.measure.backends.geometry.frame import Frame, Shape, rows, strides_of
from headroom.measure.bench import UnsupportedError
from headroom.measure.roles import ProductRoles


def views(roles: ProductRoles, out: Shape) -> tuple[Shape, Shape, Frame]:
    """(batch, m, k), (batch, k, n) and the view of the result; a batch of 1 serves all products.

    Rows of the left factor fold into m where one right matrix serves them all: a weight applied to (batch, length,
    features) is one product.

    Raises:
        UnsupportedError: the factors' batches spread over each other in part.
    """
    left = _oriented(roles.left_shape, roles.transpose_left)
    right = _oriented(roles.right_shape, roles.transpose_right)
    left = left if len(left) > 1 else (1, *left)
    right = right if len(right) > 1 else (*right, 1)
    k, n = right[-2:]
    shared = math.prod(right[:-2]) == 1
    if shared and (not roles.transpose_left or len(left) == 2):
        m = math.prod(left[:-1])
        return (1, m, k), (1, k, n), _result(out, (1, m, n))
    batch = max(math.prod(left[:-2]), math.prod(right[:-2]))
    for factor in (left, right):
        if math.prod(factor[:-2]) not in (1, batch):
            raise UnsupportedError(f"factors of shapes {left} and {right} spread over each other in part")
    m = left[-2]
    return (math.prod(left[:-2]), m, k), (math.prod(right[:-2]), k, n), _result(out, (batch, m, n))


def _oriented(shape: Shape, transposed: bool) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2]) if transposed else shape


def _result(out: Shape, dims: Shape) -> Frame:
    """The view of the layer's output as ``dims``; its own shape where the two do not line up."""
    for row_dims in range(len(out)):
        frame = rows(out, row_dims)
        if frame.dims == dims:
            return frame
    return rows(dims)


def stored_strides(dims: Shape, transposed: bool) -> Shape:
    """Strides of ``dims`` when memory holds the matrices row by row, or their transposes row by row."""
    if not transposed:
        return strides_of(dims, "")
    *batch, height, width = strides_of((*dims[:-2], dims[-1], dims[-2]), "")
    return (*batch, width, height)
