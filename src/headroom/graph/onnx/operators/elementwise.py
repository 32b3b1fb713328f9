"""Arithmetic and activations: one value out per value in.

Flops per element are what the arithmetic needs at least when a special function counts as a handful of
multiply-adds; they only decide whether such a layer could ever be limited by compute.
"""

from __future__ import annotations

from headroom.graph.onnx.call import Call
from headroom.graph.onnx.operators.registry import Describe, Family, ShapeRule, like_input
from headroom.graph.work import Elementwise, Work

#: Arithmetic, comparison, logic and rounding: operator to flops per element.
_ARITHMETIC = {
    "Abs": 1, "Add": 1, "And": 1, "BitShift": 1, "BitwiseAnd": 1, "BitwiseNot": 1, "BitwiseOr": 1,
    "BitwiseXor": 1, "Ceil": 1, "CumProd": 1, "CumSum": 1, "Div": 1, "Equal": 1, "Floor": 1, "Greater": 1,
    "GreaterOrEqual": 1, "IsInf": 1, "IsNaN": 1, "Less": 1, "LessOrEqual": 1, "Mod": 2, "Mul": 1, "Neg": 1,
    "Not": 1, "Or": 1, "Reciprocal": 1, "Round": 1, "Sign": 1, "Sqrt": 1, "Sub": 1, "Where": 1, "Xor": 1,
    "Affine": 2, "Scale": 1, "ScaledTanh": 12,
}  # fmt: skip

#: Special functions, random numbers and generated tables.
_FUNCTIONS = {
    "Acos": 10, "Acosh": 15, "Asin": 10, "Asinh": 15, "Atan": 10, "Atanh": 15, "Cos": 10, "Cosh": 12,
    "Erf": 10, "Exp": 8, "Log": 8, "Pow": 10, "Sin": 10, "Sinh": 12, "Tan": 12,
    "Bernoulli": 10, "Multinomial": 10, "RandomNormal": 20, "RandomNormalLike": 20, "RandomUniform": 10,
    "RandomUniformLike": 10, "BlackmanWindow": 20, "HammingWindow": 12, "HannWindow": 12,
    "MelWeightMatrix": 10, "AffineGrid": 6,
}  # fmt: skip

#: Non-linearities that follow a layer, which runtimes fuse into it.
_ACTIVATIONS = {
    "Celu": 10, "Clip": 2, "Elu": 10, "Gelu": 14, "HardSigmoid": 4, "HardSwish": 5, "Hardmax": 2,
    "LeakyRelu": 2, "Mish": 20, "PRelu": 2, "Relu": 1, "Selu": 10, "Shrink": 2, "Sigmoid": 10, "Softplus": 12,
    "Softsign": 3, "Swish": 11, "Tanh": 10, "ThresholdedRelu": 1, "ParametricSoftplus": 13,
    "com.microsoft::FastGelu": 14, "com.microsoft::Gelu": 14, "com.microsoft::QuickGelu": 12,
    "com.microsoft::BiasGelu": 15, "com.microsoft::BiasDropout": 2, "com.microsoft::FastGeluGrad": 20,
    "com.microsoft::ReluGrad": 1, "com.microsoft::GeluGrad": 20, "com.microsoft::SigmoidGrad": 3,
    "com.microsoft::TanhGrad": 3, "com.microsoft::QuickGeluGrad": 15, "com.microsoft::BiasGeluGrad_dX": 20,
    "com.microsoft::BiasFastGeluGrad_dX": 20, "com.microsoft::LeakyReluGrad": 2,
}  # fmt: skip

#: Quantisation: scale, shift, round and clamp.
_QUANTISATION = {"QuantizeLinear": 4, "DequantizeLinear": 2, "DynamicQuantizeLinear": 7}

#: Further operators of other domains whose output looks like their first input.
_OTHER_DOMAINS = {
    "com.microsoft::DropoutGrad": 2, "com.microsoft::SoftmaxGrad": 4, "com.microsoft::SoftmaxGrad_13": 4,
    "com.microsoft::LogSoftmaxGrad": 10, "com.microsoft::LogSoftmaxGrad_13": 10,
    "com.microsoft::BiasAdd": 2, "com.microsoft::RotaryEmbedding": 4,
}  # fmt: skip


def _function(operator: str) -> str:
    return operator.rpartition("::")[2].lower()


def _table(costs: dict[str, int], activation: bool) -> dict[str, Describe]:
    def entry(operator: str, flops: int) -> Describe:
        function = _function(operator)
        return lambda call: Elementwise(function, call.out.elements, flops, activation)

    return {operator: entry(operator, flops) for operator, flops in costs.items()}


def _variadic(call: Call) -> Work:
    """Sum, mean, maximum and minimum of several tensors: one flop per operand beyond the first."""
    operands = sum(value is not None for value in call.inputs)
    return Elementwise(call.operator.lower(), call.out.elements, max(1, operands - 1))


def _swiglu(call: Call) -> Work:
    """Gate and value are two inputs: a sigmoid and two products per output."""
    return Elementwise("swiglu", call.out.elements, 12, activation=True)


def _rotary(call: Call) -> Work:
    """Rotation of pairs by tabulated sines and cosines: two products and a sum per value, and a negation."""
    return Elementwise("rotaryembedding", call.out.elements, 4)


def _optimizer(call: Call) -> Work:
    """An optimiser's step over all weights it is given: about a dozen flops per weight."""
    return Elementwise(call.operator.lower(), sum(spec.elements for spec in call.outputs if spec), 6)


def _quantize_like_microsoft(call: Call) -> tuple[tuple[tuple[int, ...], str], ...]:
    first, zero_point = call.inputs[0], call.value(2)
    assert first is not None
    to_float = call.operator.startswith("Dequantize")
    element = "float32" if to_float else (zero_point.spec.element if zero_point else "uint8")
    return ((first.shape, element),)


def _broadcast_like(call: Call) -> tuple[tuple[tuple[int, ...], str], ...]:
    first = call.inputs[0]
    assert first is not None
    widest = max((v for v in call.inputs if v is not None), key=lambda v: v.spec.elements)
    return ((widest.shape, first.spec.element),)


_LIKE_FIRST: dict[str, ShapeRule] = {name: like_input for name in (*_ACTIVATIONS, *_OTHER_DOMAINS) if "::" in name}

FAMILY = Family(
    describe={
        **_table(_ARITHMETIC, activation=False),
        **_table(_FUNCTIONS, activation=False),
        **_table(_ACTIVATIONS, activation=True),
        **_table(_QUANTISATION, activation=False),
        **_table(_OTHER_DOMAINS, activation=False),
        **_table({"com.microsoft::QuantizeLinear": 4, "com.microsoft::DequantizeLinear": 2}, activation=False),
        **_table({"com.microsoft::QLinearAdd": 8, "com.microsoft::QLinearMul": 8}, activation=False),
        **_table({"com.microsoft::QLinearSigmoid": 14, "com.microsoft::QLinearLeakyRelu": 8}, activation=True),
        "Sum": _variadic,
        "Max": _variadic,
        "Min": _variadic,
        "Mean": _variadic,
        "SwiGLU": _swiglu,
        "RotaryEmbedding": _rotary,
        "ai.onnx.preview.training::Adagrad": _optimizer,
        "ai.onnx.preview.training::Adam": _optimizer,
        "ai.onnx.preview.training::Momentum": _optimizer,
    },
    shapes={
        **_LIKE_FIRST,
        "com.microsoft::QuantizeLinear": _quantize_like_microsoft,
        "com.microsoft::DequantizeLinear": _quantize_like_microsoft,
        "com.microsoft::QLinearAdd": _broadcast_like,
        "com.microsoft::QLinearMul": _broadcast_like,
        "com.microsoft::QLinearSigmoid": like_input,
        "com.microsoft::QLinearLeakyRelu": like_input,
    },
    settings={"Clip": (1, 2), "CumSum": (1,), "CumProd": (1,), "Bernoulli": (), "MelWeightMatrix": (0, 1, 2, 3, 4)},
)
