"""Matrix products: MatMul, Gemm and their fused and quantised relatives."""

from __future__ import annotations

import math

from headroom.graph.onnx.call import Call
from headroom.graph.onnx.operators.registry import Family, Form
from headroom.graph.work import Matmul, Work

Shape = tuple[int, ...]


def product(left: Shape, right: Shape) -> Matmul:
    """``left @ right`` with numpy's broadcasting.

    Leading dimensions of the left operand fold into ``m`` where one right matrix serves them all: a weight
    applied to (batch, length, features) is one product, not ``batch`` of them.
    """
    left = left if len(left) > 1 else (1, *left)
    right = right if len(right) > 1 else (*right, 1)
    m, k, n = left[-2], left[-1], right[-1]
    if math.prod(right[:-2]) == 1:
        return Matmul(math.prod(left[:-1]), n, k)
    return Matmul(m, n, k, math.prod(broadcast(left[:-2], right[:-2])))


def broadcast(left: Shape, right: Shape) -> Shape:
    """The common shape of two that agree or are 1 in every dimension."""
    rank = max(len(left), len(right))
    pairs = zip((1,) * (rank - len(left)) + left, (1,) * (rank - len(right)) + right, strict=True)
    return tuple(b if a == 1 else a for a, b in pairs)


def swapped(shape: Shape) -> Shape:
    """The shape with its last two dimensions exchanged."""
    return (*shape[:-2], shape[-1], shape[-2]) if len(shape) > 1 else shape


def _matmul(call: Call) -> Work:
    return product(call.shape(0), call.shape(1))


def _qlinear_matmul(call: Call) -> Work:
    return product(call.shape(0), call.shape(3))


def _gemm(call: Call) -> Work:
    left, right = call.shape(0), call.shape(1)
    # The first opset allowed operands of any rank and flattened them.
    left = (left[0], math.prod(left[1:]))
    left = swapped(left) if call.attribute("transA", 0) else left
    right = swapped(right) if call.attribute("transB", 0) else right
    return product(left, right)


def _fused_operands(call: Call) -> tuple[Shape, Shape]:
    """FusedMatMul: each operand may be stored with its matrix, or its leading batch dimension, transposed."""
    operands = []
    for position, side in enumerate("AB"):
        shape = call.shape(position)
        if call.attribute(f"transBatch{side}", 0) and len(shape) > 2:
            # (rows, batch…, columns): the row dimension stands first.
            shape = (*shape[1:-1], shape[0], shape[-1])
        operands.append(swapped(shape) if call.attribute(f"trans{side}", 0) else shape)
    return operands[0], operands[1]


def _fused(call: Call) -> Work:
    return product(*_fused_operands(call))


def _fused_shape(call: Call) -> tuple[Form, ...]:
    left, right = _fused_operands(call)
    first = call.inputs[0]
    assert first is not None
    rows = left[-2:-1] if len(left) > 1 else ()
    columns = right[-1:] if len(right) > 1 else ()
    return (((*broadcast(left[:-2], right[:-2]), *rows, *columns), first.spec.element),)


def _packed_columns(call: Call) -> Matmul:
    """MatMulNBits: weights of a few bits packed in blocks; N and K are attributes."""
    shape = call.shape(0)
    return Matmul(math.prod(shape[:-1]), int(call.attribute("N")), int(call.attribute("K")))


def _packed_columns_shape(call: Call) -> tuple[Form, ...]:
    first = call.inputs[0]
    assert first is not None
    return (((*first.shape[:-1], int(call.attribute("N"))), first.spec.element),)


FAMILY = Family(
    describe={
        "MatMul": _matmul,
        "MatMulInteger": _matmul,
        "QLinearMatMul": _qlinear_matmul,
        "Gemm": _gemm,
        "com.microsoft::FusedMatMul": _fused,
        "com.microsoft::TransposeMatMul": _fused,
        "com.microsoft::FusedGemm": _gemm,
        "com.microsoft::GemmFastGelu": _matmul,
        "com.microsoft::MatMulIntegerToFloat": _matmul,
        "com.microsoft::DynamicQuantizeMatMul": _matmul,
        "com.microsoft::MatMulNBits": _packed_columns,
    },
    shapes={
        "com.microsoft::FusedMatMul": _fused_shape,
        "com.microsoft::TransposeMatMul": _fused_shape,
        "com.microsoft::MatMulNBits": _packed_columns_shape,
    },
)
