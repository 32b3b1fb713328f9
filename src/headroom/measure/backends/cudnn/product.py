"""Matrix products, plain and batched, in the layout that the model stores its operands in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from headroom.graph.layer import Layer
from headroom.measure.backends.cudnn import fold
from headroom.measure.backends.cudnn.draft import Draft, stored
from headroom.measure.backends.cudnn.frame import Frame, Shape, rows, strides_of
from headroom.measure.bench import Operands, UnsupportedError
from headroom.measure.roles import ProductRoles, operands_of, product_roles


def describe(draft: Draft, layers: Sequence[Layer]) -> tuple[Any, Frame, int]:
    """The product, what is added to it, and constants folded into both; how many layers that is.

    Raises:
        UnsupportedError: the operands do not multiply to the result.
    """
    layer = layers[0]
    roles = product_roles(layer)
    specs = {spec.name: spec for spec in operands_of(layer)}
    left_dims, right_dims, frame = views(roles, layer.outputs[0].shape)
    left = draft.operand(specs[roles.left], left_dims, stored_strides(left_dims, roles.transpose_left))
    right_strides = stored_strides(right_dims, roles.transpose_right)
    column = (1, 1, right_dims[-1])
    constants = {spec.name for spec in layer.weights}
    bias = [name for name in roles.addends if name in constants and specs[name].elements == right_dims[-1]]
    folds = roles.right in constants and len(bias) == len(roles.addends) < 2
    affine = fold.affine_run(layers[1:], frame, column) if folds else None
    if affine is not None:
        right, shift = _folded(draft, roles, affine, right_dims, right_strides)
        return draft.graph.add(draft.graph.matmul(left, right), shift), frame, 1 + len(affine.layers)
    value = draft.graph.matmul(left, draft.operand(specs[roles.right], right_dims, right_strides))
    for name in roles.addends:
        value = draft.graph.add(value, draft.operand(specs[name], frame.operand(specs[name].shape)))
    return value, frame, 1


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


def _folded(draft: Draft, roles: ProductRoles, affine: fold.Affine, dims: Shape, strides: Shape) -> tuple[Any, Any]:
    """The right factor with its columns scaled, and the bias that remains."""

    def scaled(operands: Operands) -> Any:
        scale, _ = affine.scale_and_shift(operands)
        weight = stored(operands.tensor(roles.right), dims, strides)
        return (weight.float() * scale).to(weight.dtype)

    def bias(operands: Operands) -> Any:
        own = operands.tensor(roles.addends[0]) if roles.addends else None
        shifted = fold.shifted_bias(own, *affine.scale_and_shift(operands))
        return shifted.to(operands.tensor(roles.right).dtype)

    return draft.feed(dims, scaled, strides), draft.feed((1, 1, dims[-1]), bias)
