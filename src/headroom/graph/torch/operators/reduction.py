"""Reductions, and the sorts and scans that read a whole row before they can write."""

from __future__ import annotations

from headroom.graph.torch.call import Call, Operand
from headroom.graph.torch.registry import operators
from headroom.graph.work import Elementwise, Reduction, Work


@operators(
    "sum", "nansum", "mean", "nanmean", "amax", "amin", "aminmax", "prod", "var", "std", "var_mean", "std_mean",
    "norm", "linalg_vector_norm", "linalg_norm", "argmax", "argmin", "any", "all", "logsumexp", "count_nonzero",
    "median", "nanmedian", "mode", "kthvalue", "cumsum", "cumprod", "logcumsumexp", "cummax", "cummin", "sort",
    "argsort", "topk", "histc", "bincount",
)  # fmt: skip
def reduction(call: Call) -> Work:
    return Reduction(call.operator, call.first.elements, call.out.elements)


@operators("max", "min")
def extreme(call: Call) -> Work:
    """``max(a, b)`` compares element by element; every other form reduces."""
    if isinstance(call.get("other"), Operand):
        return Elementwise(call.operator, call.out.elements)
    return Reduction(call.operator, call.first.elements, call.out.elements)
