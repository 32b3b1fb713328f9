"""Matrix products in PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from headroom.graph.layer import Layer
from headroom.measure.backends.torch_ops.binding import Step, Tensors
from headroom.measure.roles import ProductRoles, product_roles


def bind(layer: Layer, constants: Tensors) -> Step:
    """A linear layer where a matrix meets a bias vector, else a product and its additions."""
    roles = product_roles(layer)
    shape = layer.outputs[0].shape
    linear = is_linear(layer, roles)
    fp8 = [tensor for tensor in constants.values() if tensor.dtype == torch.float8_e4m3fn]
    one = torch.ones((), device=fp8[0].device) if fp8 else None

    def run(tensors: Tensors) -> Tensor:
        left = tensors[roles.left].reshape(roles.left_shape)
        right = tensors[roles.right].reshape(roles.right_shape)
        left = left.mT if roles.transpose_left else left
        if one is not None:
            result = _scaled(left, right if roles.transpose_right else right.mT, one, _addends(roles, tensors))
        elif linear:
            # F.linear takes the weight as (n, k) in any order of memory.
            weight = right if roles.transpose_right else right.mT
            result = functional.linear(left, weight, tensors[roles.addends[0]].reshape(-1))
        else:
            result = torch.matmul(left, right.mT if roles.transpose_right else right)
            for addend in _addends(roles, tensors):
                result = result + addend
        return result if result.shape == shape else result.reshape(shape)

    return run


def is_linear(layer: Layer, roles: ProductRoles) -> bool:
    """Whether the product is one matrix with a bias per column, which PyTorch computes in one call."""
    if len(roles.right_shape) != 2 or len(roles.addends) != 1:
        return False
    addend = next(t for t in (*layer.inputs, *layer.weights) if t.name == roles.addends[0])
    columns = layer.outputs[0].shape[-1]
    return addend.elements == columns and addend.shape[-1:] == (columns,)


def _addends(roles: ProductRoles, tensors: Tensors) -> list[Tensor]:
    return [tensors[name] for name in roles.addends]


def _scaled(left: Tensor, columns: Tensor, one: Tensor, addends: list[Tensor]) -> Tensor:
    """A product of fp8 operands with a scale of ``one``; ``columns`` is (n, k), copied if it is not so in memory.

    Raises:
        NotImplementedError: the library has no batched product or no addition for fp8.
    """
    if columns.dim() != 2 or addends:
        raise NotImplementedError("PyTorch multiplies fp8 operands as plain matrices without additions only")
    rows = left.reshape(-1, left.shape[-1])
    result = torch._scaled_mm(rows, columns.contiguous().t(), one, one, out_dtype=torch.float8_e4m3fn)
    return result.reshape(*left.shape[:-1], columns.shape[0])
