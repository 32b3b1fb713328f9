"""Reductions, and the sorts and scans that read a whole row before they can write."""

from __future__ import annotations

import math

from headroom.graph.torch.call import Call, Operand
from headroom.graph.torch.registry import operators
from headroom.graph.work import Elementwise, Reduction, Work

#: The function's name where ONNX has another one, so that equal layers of both readers are equal records.
_FUNCTION_NAMES = {
    "amax": "reducemax", "amin": "reducemin", "logsumexp": "reducelogsumexp", "max": "reducemax",
    "mean": "reducemean", "min": "reducemin", "prod": "reduceprod", "sum": "reducesum",
}  # fmt: skip


@operators(
    "sum", "nansum", "mean", "nanmean", "amax", "amin", "aminmax", "prod", "var", "std", "var_mean", "std_mean",
    "norm", "linalg_vector_norm", "linalg_norm", "argmax", "argmin", "any", "all", "logsumexp", "count_nonzero",
    "median", "nanmedian", "mode", "kthvalue", "cumsum", "cumprod", "logcumsumexp", "cummax", "cummin", "sort",
    "argsort", "topk", "histc", "bincount",
)  # fmt: skip
def reduction(call: Call) -> Work:
    return Reduction(_name(call), call.first.elements, call.out.elements)


@operators("cosine_similarity", "pairwise_distance", "cdist")
def distance(call: Call) -> Work:
    """One pass along the vectors per distance."""
    first = call.first
    length = first.shape[-1] if call.operator == "cdist" else first.elements // max(call.out.elements, 1)
    return Reduction(call.operator, call.out.elements * length, call.out.elements)


@operators(
    "fft_fft", "fft_ifft", "fft_rfft", "fft_irfft", "fft_hfft", "fft_ihfft", "fft_fft2", "fft_ifft2", "fft_rfft2",
    "fft_irfft2", "fft_fftn", "fft_ifftn", "fft_rfftn", "fft_irfftn",
)  # fmt: skip
def fourier(call: Call) -> Work:
    """A fast Fourier transform of N values costs about ``5 N log2 N`` flops (Cooley and Tukey 1965)."""
    larger = max(call.first.elements, call.out.elements)
    shape = call.first.shape
    dims = call.get("dim", -1)
    dims = range(len(shape)) if dims is None else (dims,) if isinstance(dims, int) else dims
    length = math.prod(shape[d] for d in dims)
    return Reduction("fourier", round(5 * larger * math.log2(max(length, 2))), call.out.elements)


@operators("max", "min")
def extreme(call: Call) -> Work:
    """``max(a, b)`` compares element by element; every other form reduces."""
    if isinstance(call.get("other"), Operand):
        return Elementwise(call.operator, call.out.elements)
    return Reduction(_name(call), call.first.elements, call.out.elements)


def _name(call: Call) -> str:
    return _FUNCTION_NAMES.get(call.operator, call.operator)
