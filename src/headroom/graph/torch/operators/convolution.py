"""Convolutions over one, two or three dimensions, transposed ones included."""

from __future__ import annotations

from headroom.graph.torch.call import Call
from headroom.graph.torch.registry import operators
from headroom.graph.work import Convolution, Work

Padding = tuple[tuple[int, int], ...]


@operators("conv1d", "conv2d", "conv3d")
def convolution(call: Call) -> Work:
    return _forward(call)


@operators("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed_convolution(call: Call) -> Work:
    return _transposed(call)


@operators("convolution", "_convolution")
def any_convolution(call: Call) -> Work:
    return _transposed(call) if call.get("transposed") else _forward(call)


def _forward(call: Call) -> Work:
    weight = call.operand("weight").shape
    rank = len(weight) - 2
    batch, in_channels, in_size = _split(call.first.shape, rank)
    dilation = call.sizes("dilation", rank, 1)
    return Convolution(
        batch=batch,
        in_channels=in_channels,
        out_channels=weight[0],
        in_size=in_size,
        out_size=call.out.shape[-rank:],
        kernel=weight[2:],
        stride=call.sizes("stride", rank, 1),
        padding=_padding(call, weight[2:], dilation),
        dilation=dilation,
        groups=call.get("groups", 1),
    )


def _transposed(call: Call) -> Work:
    """The weight is (in channels, out channels per group, *kernel)."""
    weight = call.operand("weight").shape
    rank = len(weight) - 2
    groups = call.get("groups", 1)
    batch, in_channels, in_size = _split(call.first.shape, rank)
    dilation = call.sizes("dilation", rank, 1)
    return Convolution(
        batch=batch,
        in_channels=in_channels,
        out_channels=weight[1] * groups,
        in_size=in_size,
        out_size=call.out.shape[-rank:],
        kernel=weight[2:],
        stride=call.sizes("stride", rank, 1),
        padding=_padding(call, weight[2:], dilation),
        dilation=dilation,
        groups=groups,
        direction="dgrad",
    )


def _split(shape: tuple[int, ...], rank: int) -> tuple[int, int, tuple[int, ...]]:
    """(batch, channels, space); PyTorch also takes one sample without a batch dimension."""
    batch = shape[0] if len(shape) == rank + 2 else 1
    return batch, shape[-rank - 1], shape[-rank:]


def _padding(call: Call, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> Padding:
    padding = call.get("padding", 0)
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding == "same":
        # PyTorch puts the odd element behind (aten/src/ATen/native/Convolution.cpp, _convolution_same).
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple((t // 2, t - t // 2) for t in total)
    return tuple((p, p) for p in call.sizes("padding", len(kernel)))
