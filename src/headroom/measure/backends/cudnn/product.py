"""Matrix products, plain and batched, in the layout that the model stores its operands in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headroom.graph.layer import Layer
from headroom.measure.backends.cudnn.draft import Draft
from headroom.measure.backends.geometry import fold
from headroom.measure.backends.geometry.frame import Frame, Shape
from headroom.measure.backends.geometry.matrices import stored_strides, views
from headroom.measure.backends.geometry.memory import stored
from headroom.measure.bench import Operands
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
