"""Matrix products: linear layers, batched products, matrix-vector and inner products."""

from __future__ import annotations

import math

from headroom.graph.torch.call import Call
from headroom.graph.torch.registry import operators
from headroom.graph.work import Elementwise, Matmul, Work

Shape = tuple[int, ...]


@operators("linear")
def linear(call: Call) -> Work:
    """``input`` (..., k) times ``weight`` (n, k), or (k) for one output without a dimension."""
    inputs, weight = call.first.shape, call.operand("weight").shape
    return Matmul(m=math.prod(inputs[:-1]), n=weight[0] if len(weight) == 2 else 1, k=inputs[-1])


@operators("mm", "bmm", "mv", "dot", "vdot", "matmul", "linalg_matmul", "linalg_vecdot", "_int_mm")
def product(call: Call) -> Work:
    left, right = _tensors(call)[:2]
    return product_of(left, right)


@operators("addmm", "baddbmm", "addmv")
def product_plus(call: Call) -> Work:
    """``self + left @ right``; the addition rides along with the product."""
    _, left, right = _tensors(call)[:3]
    return product_of(left, right)


@operators("addbmm")
def summed_products(call: Call) -> Work:
    """``self + sum over the batch of left @ right``: one product whose k runs along the batch too."""
    _, left, right = _tensors(call)[:3]
    return Matmul(m=left[1], n=right[2], k=left[0] * left[2])


@operators("inner")
def inner(call: Call) -> Work:
    """Sums over the last dimension of both; a scalar operand only scales."""
    left, right = _tensors(call)[:2]
    if not left or not right:
        return Elementwise("mul", call.out.elements)
    return Matmul(m=math.prod(left[:-1]), n=math.prod(right[:-1]), k=left[-1])


@operators("outer", "ger", "kron")
def outer(call: Call) -> Work:
    """Every pair of elements meets once and nothing is summed."""
    return Elementwise("mul", call.out.elements)


@operators("tensordot")
def tensordot(call: Call) -> Work:
    left, right = _tensors(call)[:2]
    k = math.prod(left[d] for d in call.get("dims_self"))
    return Matmul(m=math.prod(left) // max(k, 1), n=math.prod(right) // max(k, 1), k=k)


@operators("bilinear")
def bilinear(call: Call) -> Work:
    """``y_o = x1 W_o x2``: x1 meets all matrices in one product; the sum over x2 that follows is small."""
    left, weight = call.operand("input1").shape, call.operand("weight").shape
    return Matmul(m=math.prod(left[:-1]), n=weight[0] * weight[2], k=weight[1])


def product_of(left: Shape, right: Shape) -> Matmul:
    """``torch.matmul`` of two shapes: a vector is a row on the left and a column on the right.

    One right matrix that serves every batch of the left side multiplies all its rows in one product.
    """
    rows = left if len(left) > 1 else (1, *left)
    columns = right if len(right) > 1 else (*right, 1)
    k, n = rows[-1], columns[-1]
    if math.prod(columns[:-2]) == 1:
        return Matmul(m=math.prod(rows[:-1]), n=n, k=k)
    return Matmul(m=rows[-2], n=n, k=k, batch=math.prod(_broadcast(rows[:-2], columns[:-2])))


def _broadcast(left: Shape, right: Shape) -> Shape:
    rank = max(len(left), len(right))
    padded = ((1,) * (rank - len(side)) + side for side in (left, right))
    return tuple(b if a == 1 else a for a, b in zip(*padded, strict=True))


def _tensors(call: Call) -> list[Shape]:
    return [value.shape for value in call.arguments.values() if hasattr(value, "shape")]
