"""What a chain computes, in more precision than any implementation has, and how far an output is from it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.measure.backends.torch_ops import bind_chain
from headroom.measure.backends.torch_ops.binding import Tensors
from headroom.measure.backends.torch_ops.math_mode import math_mode
from headroom.measure.bench import Check, UnsupportedError

#: Largest relative error that counts as the same function, by data type; docs/stopwatch.md says why.
TOLERANCES = {
    DataType.FP32: 1e-4,
    DataType.TF32: 2e-3,
    DataType.FP16: 5e-3,
    DataType.BF16: 2e-2,
    DataType.FP8: 1e-1,
}

#: Beyond that many multiply-adds the reference is computed in strict fp32: fp64 would take longer than the timing.
MOST_FP64_MACS = 20_000_000_000

#: Likewise for its memory, in elements of all tensors together.
MOST_FP64_ELEMENTS = 1 << 30


class Reference:
    """The outputs of a chain, computed once from the operands as they were rounded to the run's data type."""

    def __init__(self, chain: Chain, tensors: Tensors, dtype: DataType) -> None:
        """
        Raises:
            UnsupportedError: PyTorch cannot compute the chain, or the result is not finite.
        """
        precise = _precision(chain)
        operands = {
            name: tensor.to(precise) if tensor.dtype.is_floating_point else tensor for name, tensor in tensors.items()
        }
        with torch.no_grad(), math_mode(DataType.FP32):
            self._outputs = tuple(out.contiguous() for out in bind_chain(chain, operands)(operands))
        self._norms = [_norm(out) if out.dtype.is_floating_point else None for out in self._outputs]
        self.tolerance = TOLERANCES[dtype]
        norms = [norm for norm in self._norms if norm is not None]
        if norms and not bool(torch.stack(norms).isfinite().all()):
            raise UnsupportedError("the reference is not finite for random operands, so that nothing can be checked")

    def check(self, outputs: Sequence[Tensor]) -> Check:
        """The largest relative error of any output: ``||out - reference|| / ||reference||`` in the Euclidean norm.

        For integers and truth values it is the share that differs. NaN anywhere makes it NaN, which never passes.
        """
        errors = [
            _error(out, reference, norm)
            for out, reference, norm in zip(outputs, self._outputs, self._norms, strict=True)
        ]
        return Check(float(torch.stack(errors).max()), self.tolerance)


def _precision(chain: Chain) -> torch.dtype:
    elements = sum(
        tensor.elements for layer in chain.layers for tensor in (*layer.inputs, *layer.weights, *layer.outputs)
    )
    fits = chain.macs <= MOST_FP64_MACS and elements <= MOST_FP64_ELEMENTS
    return torch.float64 if fits else torch.float32


def _norm(values: Tensor) -> Tensor:
    return torch.linalg.vector_norm(values, dtype=torch.float64)


def _error(out: Tensor, reference: Tensor, norm: Tensor | None) -> Tensor:
    """A scalar on the device, so that one wait serves all outputs."""
    if tuple(out.shape) != tuple(reference.shape):
        raise ValueError(f"the output has the shape {tuple(out.shape)}, the reference {tuple(reference.shape)}")
    if norm is None:
        return (out != reference).double().mean()
    distance = _norm(out.to(reference.dtype) - reference)
    # An all-zero reference has no relative error: then the distance itself has to be small.
    return torch.where(norm > 0, distance / norm, distance)
