"""Normalisations, and softmax with its relatives."""

from __future__ import annotations

import math
from functools import partial

from headroom.graph.onnx.call import Call
from headroom.graph.onnx.operators.registry import Family, Form, ShapeRule, like_input
from headroom.graph.work import Normalization, Softmax, Work

# Mean, difference, square, variance, reciprocal root, scale and shift.
_FLOPS_WITH_STATISTICS = 8
_FLOPS_RMS = 5


def _batch(call: Call) -> Work:
    """At inference the statistics are constants and one multiply-add per value remains."""
    elements = call.out.elements
    trains = call.attribute("training_mode", 0) or sum(spec is not None for spec in call.outputs) > 1
    if not trains:
        return Normalization("batch", elements)
    channels = call.shape(1)[0]
    return Normalization("batch", elements, elements // max(channels, 1), _FLOPS_WITH_STATISTICS)


def _instance(call: Call) -> Work:
    shape = call.shape(0)
    return Normalization("instance", call.out.elements, math.prod(shape[2:]), _FLOPS_WITH_STATISTICS)


def _group(call: Call) -> Work:
    shape = call.shape(0)
    groups = int(call.attribute("num_groups", call.attribute("groups", 1)))
    per_group = math.prod(shape[1:]) // max(groups, 1)
    return Normalization("group", call.out.elements, per_group, _FLOPS_WITH_STATISTICS)


def _trailing(call: Call, function: str, flops: int) -> Work:
    """Statistics over all dimensions from ``axis`` to the last."""
    shape = call.shape(0)
    axis = int(call.attribute("axis", -1))
    return Normalization(function, math.prod(shape), math.prod(shape[axis:]), flops)


def _local_response(call: Call) -> Work:
    """Each value is divided by a power of the sum of squares of ``size`` neighbouring channels."""
    size = int(call.attribute("size", 5))
    return Normalization("local_response", call.out.elements, size, 2 * size + 12)


def _norm(call: Call) -> Work:
    shape = call.shape(0)
    return Normalization("lp", call.out.elements, shape[int(call.attribute("axis", -1))], 4)


def _mean_variance(call: Call) -> Work:
    shape = call.shape(0)
    axes = call.attribute("axes", (0, 2, 3))
    shared = math.prod(shape[axis] for axis in axes)
    return Normalization("mean_variance", call.out.elements, shared, _FLOPS_WITH_STATISTICS)


def _softmax(call: Call) -> Work:
    """Up to opset 12 the tensor was flattened to two dimensions at ``axis``; later only ``axis`` counts."""
    shape = call.shape(0)
    elements = math.prod(shape)
    if call.domain == "" and call.opset < 13:
        axis = int(call.attribute("axis", 1))
        length = math.prod(shape[axis if axis >= 0 else len(shape) + axis :])
    else:
        length = shape[int(call.attribute("axis", -1))] if shape else 1
    return Softmax(rows=elements // max(length, 1), row_elements=length)


def _loss(call: Call) -> Work:
    """Softmax over the classes (dimension 1) and a pick per row."""
    shape = call.shape(0)
    return Softmax(rows=math.prod(shape) // max(shape[1], 1), row_elements=shape[1])


def _loss_gradient(call: Call) -> Work:
    """Probabilities minus the one-hot label: a softmax's work once more."""
    classes = call.out.shape[-1] if call.out.shape else 1
    return Softmax(rows=call.out.elements // max(classes, 1), row_elements=classes)


def _second_input(call: Call) -> tuple[Form, ...]:
    """A loss's gradient looks like the logits, its second input."""
    logits = call.inputs[1]
    assert logits is not None
    return ((logits.shape, logits.spec.element),)


def _skip(call: Call) -> tuple[Form, ...]:
    """SkipLayerNormalization: the result, mean and inverse deviation per row, and the sum of input and skip."""
    first = call.inputs[0]
    assert first is not None
    rows = (*first.shape[:-1], 1)
    full = (first.shape, first.spec.element)
    return (full, (rows, "float32"), (rows, "float32"), full)


def _layer_gradient(call: Call) -> tuple[Form, ...]:
    """LayerNormalizationGrad: gradients of the input, of the scale and of the shift."""
    first, scale = call.inputs[1], call.inputs[2]
    assert first is not None
    assert scale is not None
    return ((first.shape, first.spec.element), (scale.shape, scale.spec.element), (scale.shape, scale.spec.element))


_layer = partial(_trailing, function="layer", flops=_FLOPS_WITH_STATISTICS)
_rms = partial(_trailing, function="rms", flops=_FLOPS_RMS)
_skip_layer = partial(_trailing, function="layer", flops=_FLOPS_WITH_STATISTICS + 2)
_skip_rms = partial(_trailing, function="rms", flops=_FLOPS_RMS + 2)
_layer_grad = partial(_trailing, function="layer_gradient", flops=2 * _FLOPS_WITH_STATISTICS)

_SHAPES: dict[str, ShapeRule] = {
    "com.microsoft::SkipLayerNormalization": _skip,
    "com.microsoft::SkipSimplifiedLayerNormalization": _skip,
    "com.microsoft::SimplifiedLayerNormalization": like_input,
    "com.microsoft::GroupNorm": like_input,
    "com.microsoft::LayerNormalizationGrad": _layer_gradient,
    "com.microsoft::SoftmaxCrossEntropyLossGrad": _second_input,
    "GroupNormalization": like_input,
    "MeanVarianceNormalization": like_input,
    # Runtimes write these two into the standard domain although no opset has them.
    "SimplifiedLayerNormalization": like_input,
}

FAMILY = Family(
    describe={
        "BatchNormalization": _batch,
        "InstanceNormalization": _instance,
        "GroupNormalization": _group,
        "LayerNormalization": _layer,
        "RMSNormalization": _rms,
        "SimplifiedLayerNormalization": _rms,
        "LRN": _local_response,
        "LpNormalization": _norm,
        "MeanVarianceNormalization": _mean_variance,
        "Softmax": _softmax,
        "LogSoftmax": _softmax,
        "SoftmaxCrossEntropyLoss": _loss,
        "com.microsoft::QLinearSoftmax": _softmax,
        "com.microsoft::GroupNorm": _group,
        "com.microsoft::SkipLayerNormalization": _skip_layer,
        "com.microsoft::SkipSimplifiedLayerNormalization": _skip_rms,
        "com.microsoft::SimplifiedLayerNormalization": _rms,
        "com.microsoft::LayerNormalizationGrad": _layer_grad,
        "com.microsoft::SoftmaxCrossEntropyLossGrad": _loss_gradient,
    },
    shapes=_SHAPES,
)
