"""Convolutions: forward, transposed, quantised, deformable, over 1, 2 or 3 spatial dimensions."""

from __future__ import annotations

from headroom.graph.onnx.call import Call
from headroom.graph.onnx.operators.registry import Family
from headroom.graph.work import Convolution, Work


def conv_padding(
    call: Call,
    in_size: tuple[int, ...],
    out_size: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[tuple[int, int], ...]:
    """(begin, end) per dimension, with ``auto_pad`` worked out.

    SAME pads just enough for ``ceil(in / stride)`` outputs; the odd cell goes to the end with SAME_UPPER and
    to the beginning with SAME_LOWER.
    """
    mode = call.attribute("auto_pad", b"NOTSET")
    rank = len(in_size)
    if mode in (b"SAME_UPPER", b"SAME_LOWER"):
        padding = []
        for i in range(rank):
            reach = (out_size[i] - 1) * stride[i] + (window[i] - 1) * dilation[i] + 1
            total = max(0, reach - in_size[i])
            less, more = total // 2, total - total // 2
            padding.append((less, more) if mode == b"SAME_UPPER" else (more, less))
        return tuple(padding)
    pads = tuple(int(v) for v in call.attribute("pads", ())) if mode != b"VALID" else ()
    if len(pads) != 2 * rank:
        pads = (0,) * (2 * rank)
    return tuple((pads[i], pads[rank + i]) for i in range(rank))


def spatial(call: Call, name: str, rank: int, default: int = 1) -> tuple[int, ...]:
    """A per-dimension attribute, with its default."""
    return tuple(int(v) for v in call.attribute(name, (default,) * rank))


def _convolution(call: Call, data: int, weight: int, direction: str = "forward") -> Work:
    source, filters, result = call.shape(data), call.shape(weight), call.out.shape
    rank = len(filters) - 2
    kernel, stride, dilation = filters[2:], spatial(call, "strides", rank), spatial(call, "dilations", rank)
    in_size, out_size = source[2:], result[2:]
    read, written = (in_size, out_size) if direction == "forward" else (out_size, in_size)
    return Convolution(
        batch=source[0],
        in_channels=source[1],
        out_channels=result[1],
        in_size=in_size,
        out_size=out_size,
        kernel=kernel,
        stride=stride,
        padding=conv_padding(call, read, written, kernel, stride, dilation),
        dilation=dilation,
        groups=int(call.attribute("group", 1)),
        direction=direction,
    )


def _forward(call: Call) -> Work:
    return _convolution(call, 0, 1)


def _transposed(call: Call) -> Work:
    return _convolution(call, 0, 1, "dgrad")


def _quantised(call: Call) -> Work:
    return _convolution(call, 0, 3)


def _causal(call: Call) -> Work:
    """A depthwise 1d convolution whose left context is a state input: (batch, channels, length)."""
    batch, channels, length = call.shape(0)
    taps = call.shape(1)[-1]
    return Convolution(batch, channels, channels, (length,), (length,), (taps,), (1,), ((taps - 1, 0),), (1,), channels)


FAMILY = Family(
    describe={
        "Conv": _forward,
        "ConvInteger": _forward,
        "DeformConv": _forward,
        "QLinearConv": _quantised,
        "ConvTranspose": _transposed,
        "CausalConvWithState": _causal,
        "com.microsoft::FusedConv": _forward,
    },
)
