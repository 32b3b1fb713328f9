"""Tensors made from nothing: constants, ranges, random numbers."""

from __future__ import annotations

from headroom.graph.torch.call import Call
from headroom.graph.torch.registry import operators
from headroom.graph.work import Free, Movement, Work


@operators("empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty_permuted")
def uninitialised(call: Call) -> Work:
    """Memory without a value: the allocator's work, not the GPU's."""
    return Free(call.operator)


@operators(
    "zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "eye",
    "arange", "linspace", "logspace", "scalar_tensor", "tril_indices", "triu_indices", "fill", "zero", "rand",
    "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "normal", "normal_functional",
    "uniform", "bernoulli", "exponential", "random", "multinomial", "poisson", "hann_window", "hamming_window",
)  # fmt: skip
def written(call: Call) -> Work:
    return Movement(call.operator, call.out.elements)
