"""Convolutions in PyTorch: forward, transposed, and the gradient of the filter."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from headroom.graph.layer import Layer
from headroom.graph.work import Convolution
from headroom.measure.backends.torch_ops.binding import Step, Tensors
from headroom.measure.bench import UnsupportedError
from headroom.measure.roles import ConvolutionRoles, convolution_roles, filter_shape

_FORWARD = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


def bind(layer: Layer, constants: Tensors) -> Step:
    work = layer.work
    assert isinstance(work, Convolution)
    if len(work.kernel) not in _FORWARD:
        raise UnsupportedError(f"PyTorch has no convolution over {len(work.kernel)} dimensions")
    roles = convolution_roles(layer)
    shape = layer.outputs[0].shape
    make = {"forward": _forward, "dgrad": _transposed, "wgrad": _filter_gradient}[work.direction]
    step = make(work, roles)
    return lambda tensors: _viewed(step(tensors), shape)


def _viewed(result: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A layer of one sample may lack its batch dimension."""
    return result if result.shape == shape else result.reshape(shape)


def _operands(work: Convolution, roles: ConvolutionRoles, tensors: Tensors) -> tuple[Tensor, Tensor, Tensor | None]:
    data, second = tensors[roles.data], tensors[roles.filter]
    bias = tensors[roles.bias] if roles.bias else None
    full = (work.batch, work.in_channels, *work.in_size)
    return _viewed(data, full), _viewed(second, filter_shape(work)), bias


def _split_padding(work: Convolution) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What both ends of each dimension share, and what is left, as :func:`torch.nn.functional.pad` takes it."""
    common = tuple(min(begin, end) for begin, end in work.padding)
    rest = tuple(
        amount
        for (begin, end), both in reversed(list(zip(work.padding, common, strict=True)))
        for amount in (begin - both, end - both)
    )
    return common, rest


def _forward(work: Convolution, roles: ConvolutionRoles) -> Step:
    convolve = _FORWARD[len(work.kernel)]
    padding, rest = _split_padding(work)

    def run(tensors: Tensors) -> Tensor:
        data, filters, bias = _operands(work, roles, tensors)
        if any(rest):
            data = functional.pad(data, rest)
        return convolve(data, filters, bias, work.stride, padding, work.dilation, work.groups)

    return run


def _transposed(work: Convolution, roles: ConvolutionRoles) -> Step:
    """The full result without padding is as long as the filter reaches; padding takes from its ends.

    Begin and end differ where the padding is asymmetric: then the longer result is computed and cut.
    """
    convolve = _TRANSPOSED[len(work.kernel)]
    common, _ = _split_padding(work)
    reach = [
        (size - 1) * stride + (taps - 1) * dilation + 1 - 2 * both
        for size, stride, taps, dilation, both in zip(
            work.in_size, work.stride, work.kernel, work.dilation, common, strict=True
        )
    ]
    begin = [pads[0] - both for pads, both in zip(work.padding, common, strict=True)]
    missing = [out + first - whole for out, first, whole in zip(work.out_size, begin, reach, strict=True)]
    output_padding = tuple(max(0, part) for part in missing)

    def run(tensors: Tensors) -> Tensor:
        data, filters, bias = _operands(work, roles, tensors)
        result = convolve(data, filters, bias, work.stride, common, output_padding, work.groups, work.dilation)
        for dim, (first, length) in enumerate(zip(begin, work.out_size, strict=True), start=2):
            if result.shape[dim] != length:
                result = result.narrow(dim, first, length)
        return result

    return run


def _filter_gradient(work: Convolution, roles: ConvolutionRoles) -> Step:
    padding, rest = _split_padding(work)
    nothing = (0,) * len(work.kernel)
    weight_shape = (work.out_channels, work.in_channels // work.groups, *work.kernel)
    if math.prod(weight_shape) == 0:
        raise UnsupportedError("the filter has no elements")

    def run(tensors: Tensors) -> Tensor:
        data, gradient, _ = _operands(work, roles, tensors)
        if any(rest):
            data = functional.pad(data, rest)
        # Of the filter only shape and order in memory are read.
        last = data.dim() == 4 and data.is_contiguous(memory_format=torch.channels_last)
        order = torch.channels_last if last else torch.contiguous_format
        like = torch.empty(weight_shape, dtype=data.dtype, device=data.device, memory_format=order)
        _, result, _ = torch.ops.aten.convolution_backward(
            gradient, data, like, None, work.stride, padding, work.dilation, False, nothing, work.groups,
            [False, True, False],
        )  # fmt: skip
        return result

    return run
