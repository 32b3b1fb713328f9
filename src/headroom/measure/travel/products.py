"""A chain as one product with an epilogue, written down in the model's row-major order for cuBLAS and cuBLASLt."""

from __future__ import annotations

import math

from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.measure.backends.geometry.frame import Shape
from headroom.measure.backends.lt.problem import Factor, problem_of
from headroom.measure.travel.case import Case, Fill, Operation, Tensor

_ACTIVATIONS = {"RELU": "relu", "GELU": "gelu_approx_tanh"}


def product_case(chain: Chain, dtype: DataType, layout: str) -> Case:
    """``matmul``, then what is added, then an activation, on tensors of (batch, rows, columns).

    Raises:
        UnsupportedError: the chain is no such product.
    """
    problem = problem_of(chain, dtype, layout)
    stored = "fp32" if dtype is DataType.TF32 else str(dtype)
    added = "bf16" if dtype is DataType.FP8 else stored
    batch, m, n, k = problem.batch, problem.m, problem.n, problem.k
    draft = _Draft()
    left = draft.tensor(stored, *_placed(problem.left, (m, k), batch), Fill("normal", 1.0))
    right = draft.tensor(stored, *_placed(problem.right, (k, n), batch), Fill("normal", 1 / math.sqrt(max(k, 1))))
    value = draft.operate("matmul", stored, (batch, m, n), left, right)
    if problem.residual is not None:
        value = draft.operate("add", stored, (batch, m, n), value, draft.matrix(added, (batch, m, n)))
    if problem.has_bias:
        value = draft.operate("add", stored, (batch, m, n), value, draft.matrix(added, (1, 1, n)))
    if problem.activation:
        draft.operate(_ACTIVATIONS[problem.activation], stored, (batch, m, n), value)
    alone = len(draft.operations) == 1 and dtype is not DataType.FP8
    math_mode = "tf32" if dtype is DataType.TF32 else "fp32"
    return Case(
        ("cublaslt", "cublas") if alone else ("cublaslt",),
        layout,
        math_mode,
        tuple(draft.tensors),
        tuple(draft.operations),
    )


class _Draft:
    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.operations: list[Operation] = []

    def tensor(self, kind: str, dims: Shape, strides: Shape, fill: Fill) -> int:
        self.tensors.append(Tensor(len(self.tensors) + 1, kind, dims, strides, fill))
        return len(self.tensors)

    def matrix(self, kind: str, dims: Shape, fill: Fill | None = None) -> int:
        strides = (dims[1] * dims[2], dims[2], 1)
        return self.tensor(kind, dims, strides, fill or Fill("normal", 1.0))

    def operate(self, name: str, kind: str, dims: Shape, *reads: int) -> int:
        result = self.matrix(kind, dims, Fill("nothing"))
        self.operations.append(Operation(name, reads, result))
        return result


def _placed(factor: Factor, dims: tuple[int, int], batch: int) -> tuple[Shape, Shape]:
    """(batch, rows, columns) of a row-major factor, and its strides; a factor that serves all products has a batch of
    1, one that is stored the other way round steps along its rows."""
    own = batch if factor.batch_stride else 1
    rows, columns = dims
    steps = (1, rows) if factor.transposed else (columns, 1)
    return (own, rows, columns), (rows * columns, *steps)
