"""Pooling, over windows, over regions and over everything."""

from __future__ import annotations

import math

from headroom.graph.onnx.call import Call
from headroom.graph.onnx.operators.convolution import spatial
from headroom.graph.onnx.operators.registry import Describe, Family, Form
from headroom.graph.work import Pooling, Work


def _window(function: str) -> Describe:
    def describe(call: Call) -> Work:
        window = tuple(int(v) for v in call.attribute("kernel_shape"))
        return Pooling(function, call.out.elements, window, spatial(call, "strides", len(window)))

    return describe


def _global(function: str) -> Describe:
    def describe(call: Call) -> Work:
        window = call.shape(0)[2:]
        return Pooling(function, call.out.elements, window, window)

    return describe


def _region_align(call: Call) -> Work:
    """Each bin averages ``sampling_ratio`` squared bilinear samples of four values; 0 means about two a side."""
    samples = int(call.attribute("sampling_ratio", 0)) or 2
    return Pooling("region_align", call.out.elements, (2 * samples, 2 * samples), (1, 1))


def _region_max(call: Call) -> Work:
    height, width = call.shape(0)[2:]
    rows, columns = (int(v) for v in call.attribute("pooled_shape"))
    window = (max(1, height // max(rows, 1)), max(1, width // max(columns, 1)))
    return Pooling("region_max", call.out.elements, window, window)


def _quantised_global_shape(call: Call) -> tuple[Form, ...]:
    first = call.inputs[0]
    assert first is not None
    channels_last = bool(call.attribute("channels_last", 0))
    shape = first.shape
    ones = (1,) * (len(shape) - 2)
    pooled = (shape[0], *ones, shape[-1]) if channels_last else (*shape[:2], *ones)
    return ((pooled, first.spec.element),)


def _gradient_shape(call: Call) -> tuple[Form, ...]:
    """The input that pooling with these attributes would have had, where no stride leaves a remainder."""
    first = call.inputs[0]
    assert first is not None
    window = tuple(int(v) for v in call.attribute("kernel_shape"))
    rank = len(window)
    strides, pads = spatial(call, "strides", rank), tuple(call.attribute("pads", (0,) * 2 * rank))
    size = tuple((first.shape[2 + i] - 1) * strides[i] + window[i] - pads[i] - pads[rank + i] for i in range(rank))
    return (((*first.shape[:2], *size), first.spec.element),)


def _gradient(call: Call) -> Work:
    """Every output gradient is spread over its window."""
    window = tuple(int(v) for v in call.attribute("kernel_shape"))
    return Pooling("average_gradient", math.prod(call.shape(0)), window, spatial(call, "strides", len(window)))


FAMILY = Family(
    describe={
        "AveragePool": _window("average"),
        "MaxPool": _window("max"),
        "LpPool": _window("lp"),
        "GlobalAveragePool": _global("average"),
        "GlobalMaxPool": _global("max"),
        "GlobalLpPool": _global("lp"),
        "MaxRoiPool": _region_max,
        "RoiAlign": _region_align,
        "com.microsoft::QLinearGlobalAveragePool": _global("average"),
        "com.microsoft::QLinearAveragePool": _window("average"),
        "com.microsoft::AveragePoolGrad": _gradient,
    },
    shapes={
        "com.microsoft::QLinearGlobalAveragePool": _quantised_global_shape,
        "com.microsoft::AveragePoolGrad": _gradient_shape,
    },
)
