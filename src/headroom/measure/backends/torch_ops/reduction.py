"""Reductions and softmax in PyTorch. Which dimensions are reduced follows from the shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from headroom.graph.chain import FLOATING
from headroom.graph.layer import Layer
from headroom.graph.work import Reduction, Softmax
from headroom.measure.backends.torch_ops.binding import Step, Tensors
from headroom.measure.bench import UnsupportedError
from headroom.measure.reduced import reduced_dimensions
from headroom.measure.roles import operands_of

Shape = tuple[int, ...]

_OVER_DIMENSIONS: dict[str, Callable[[Tensor, Shape, bool], Tensor]] = {
    "reducemean": lambda x, dims, keep: torch.mean(x, dims, keepdim=keep),
    "reducesum": lambda x, dims, keep: torch.sum(x, dims, keepdim=keep),
    "sum": lambda x, dims, keep: torch.sum(x, dims, keepdim=keep),
    "einsum": lambda x, dims, keep: torch.sum(x, dims, keepdim=keep),
    "nansum": lambda x, dims, keep: torch.nansum(x, dims, keepdim=keep),
    "nanmean": lambda x, dims, keep: torch.nanmean(x, dims, keepdim=keep),
    "reducemax": lambda x, dims, keep: torch.amax(x, dims, keepdim=keep),
    "reducemin": lambda x, dims, keep: torch.amin(x, dims, keepdim=keep),
    "reducel1": lambda x, dims, keep: torch.linalg.vector_norm(x, 1, dims, keepdim=keep),
    "reducel2": lambda x, dims, keep: torch.linalg.vector_norm(x, 2, dims, keepdim=keep),
    "norm": lambda x, dims, keep: torch.linalg.vector_norm(x, 2, dims, keepdim=keep),
    "linalg_norm": lambda x, dims, keep: torch.linalg.vector_norm(x, 2, dims, keepdim=keep),
    "linalg_vector_norm": lambda x, dims, keep: torch.linalg.vector_norm(x, 2, dims, keepdim=keep),
    "reducesumsquare": lambda x, dims, keep: torch.sum(x * x, dims, keepdim=keep),
    "reducelogsumexp": lambda x, dims, keep: torch.logsumexp(x, dims, keepdim=keep),
    "var": lambda x, dims, keep: torch.var(x, dims, keepdim=keep),
    "std": lambda x, dims, keep: torch.std(x, dims, keepdim=keep),
    "any": lambda x, dims, keep: torch.any(x, dims, keepdim=keep),
    "all": lambda x, dims, keep: torch.all(x, dims, keepdim=keep),
    "count_nonzero": lambda x, dims, keep: torch.count_nonzero(x, dims),
}

#: Along one dimension.
_ALONG_ONE: dict[str, Callable[[Tensor, int, bool], Any]] = {
    "argmax": lambda x, dim, keep: torch.argmax(x, dim, keepdim=keep),
    "argmin": lambda x, dim, keep: torch.argmin(x, dim, keepdim=keep),
    "reduceprod": lambda x, dim, keep: torch.prod(x, dim, keepdim=keep),
    "median": lambda x, dim, keep: torch.median(x, dim, keepdim=keep),
}

#: Scans and sorts: as many values out as in, along the last dimension since the record does not say along which.
_ALONG_LAST: dict[str, Callable[[Tensor], Any]] = {
    "argsort": lambda x: torch.argsort(x, -1),
    "cumprod": lambda x: torch.cumprod(x, -1),
    "cumsum": lambda x: torch.cumsum(x, -1),
    "logcumsumexp": lambda x: torch.logcumsumexp(x, -1),
    "sort": lambda x: tuple(torch.sort(x, -1)),
}


def bind(layer: Layer, constants: Tensors) -> Step:
    work = layer.work
    assert isinstance(work, Reduction)
    operands = operands_of(layer)
    if len(operands) != 1:
        raise UnsupportedError(f"the reduction {work.function} reads {len(operands)} operands; PyTorch's reads one")
    source, out = operands[0], layer.outputs[0]
    if work.function in _ALONG_LAST:
        scan = _ALONG_LAST[work.function]
        return lambda tensors: scan(tensors[source.name])
    if work.function == "topk":
        return _top_k(source.name, source.shape, out.shape)
    dims, keep = reduced_dimensions(source.shape, out.shape)
    if work.function in _OVER_DIMENSIONS:
        over = _OVER_DIMENSIONS[work.function]
        return lambda tensors: over(tensors[source.name], dims, keep)
    if work.function in _ALONG_ONE and len(dims) == 1:
        along = _ALONG_ONE[work.function]
        return lambda tensors: along(tensors[source.name], dims[0], keep)
    raise UnsupportedError(f"no implementation of {work.function} over {len(dims)} dimensions in PyTorch")


def _top_k(name: str, before: Shape, after: Shape) -> Step:
    dims = [d for d, (a, b) in enumerate(zip(before, after, strict=True)) if a != b] or [len(before) - 1]
    count = after[dims[-1]]
    return lambda tensors: tuple(torch.topk(tensors[name], count, dims[-1]))


def bind_softmax(layer: Layer, constants: Tensors) -> Step:
    """Along the last dimension of a row's length, else over all dimensions from the one where a row begins."""
    work = layer.work
    assert isinstance(work, Softmax)
    operands = operands_of(layer)
    source = operands[0]
    if len(operands) != 1 or source.element != FLOATING or source.shape != layer.outputs[0].shape:
        raise UnsupportedError("this relative of softmax (a loss or a gradient) has no implementation here")
    shape = source.shape
    dims = [d for d, size in enumerate(shape) if size == work.row_elements]
    if dims:
        return lambda tensors: torch.softmax(tensors[source.name], dims[-1])
    # Old ONNX opsets flatten everything behind an axis into one row.
    flat = (work.rows, work.row_elements)
    return lambda tensors: torch.softmax(tensors[source.name].reshape(flat), -1).reshape(shape)
