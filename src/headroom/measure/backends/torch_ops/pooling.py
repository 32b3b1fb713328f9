"""Pooling in PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from headroom.graph.chain import FLOATING
from headroom.graph.layer import Layer
from headroom.graph.work import Pooling
from headroom.measure.backends.torch_ops.binding import Step, Tensors
from headroom.measure.bench import UnsupportedError
from headroom.measure.windows import pooling_padding

_MAX = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_MAX_WITH_INDICES = {
    1: functional.max_pool1d_with_indices,
    2: functional.max_pool2d_with_indices,
    3: functional.max_pool3d_with_indices,
}
_AVERAGE = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


def bind(layer: Layer, constants: Tensors) -> Step:
    """A window that covers everything is a reduction, which PyTorch's own global pooling also is."""
    work = layer.work
    assert isinstance(work, Pooling)
    source, out = layer.inputs[0], layer.outputs[0]
    rank = len(work.window)
    if source.element != FLOATING or len(layer.inputs) > 1 or layer.weights:
        raise UnsupportedError("the pooling reads more than one floating-point tensor")
    if work.function not in ("max", "average") or rank not in _MAX:
        raise UnsupportedError(f"no implementation of {work.function} pooling over {rank} dimensions in PyTorch")
    space = tuple(range(-rank, 0))
    if all(size == 1 for size in out.shape[-rank:]) and work.window == source.shape[-rank:]:
        reduce = torch.mean if work.function == "average" else torch.amax
        return lambda tensors: reduce(tensors[source.name], space, keepdim=True)
    padding = pooling_padding(layer)
    begin = tuple(pads[0] for pads in padding)
    rest = tuple(amount for first, last in reversed(padding) for amount in (0, last - first))
    fill = float("-inf") if work.function == "max" else 0.0
    indices = len(layer.outputs) > 1
    pool = _AVERAGE[rank] if work.function == "average" else (_MAX_WITH_INDICES if indices else _MAX)[rank]

    def run(tensors: Tensors) -> Tensor | tuple[Tensor, ...]:
        values = tensors[source.name]
        if any(rest):
            values = functional.pad(values, rest, value=fill)
        result = pool(values, work.window, work.stride, begin)
        return tuple(result) if indices else result

    return run
