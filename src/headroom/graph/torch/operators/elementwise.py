"""Arithmetic, comparisons, activations and softmax.

Flops per element are the same as for the ONNX reader's operators: a special function counts as a handful of
multiply-adds, which only decides whether such a layer could ever be limited by compute.
"""

from __future__ import annotations

from headroom.graph.torch.call import Call
from headroom.graph.torch.registry import operators
from headroom.graph.work import Elementwise, Softmax, Work

#: Arithmetic, comparison, logic and rounding: operator to flops per element.
_ARITHMETIC = {
    "abs": 1, "add": 1, "addcdiv": 3, "addcmul": 3, "bitwise_and": 1, "bitwise_left_shift": 1, "bitwise_not": 1,
    "bitwise_or": 1, "bitwise_right_shift": 1, "bitwise_xor": 1, "ceil": 1, "copysign": 1, "div": 1, "divide": 1,
    "eq": 1, "floor": 1, "floor_divide": 2, "fmax": 1, "fmin": 1, "fmod": 2, "frac": 2, "ge": 1, "greater": 1,
    "greater_equal": 1, "gt": 1, "heaviside": 1, "isfinite": 1, "isin": 1, "isinf": 1, "isnan": 1, "le": 1,
    "lerp": 3, "less": 1, "less_equal": 1, "logical_and": 1, "logical_not": 1, "logical_or": 1, "logical_xor": 1,
    "lt": 1, "masked_fill": 1, "maximum": 1, "minimum": 1, "mul": 1, "multiply": 1, "nan_to_num": 3, "ne": 1,
    "neg": 1, "negative": 1, "not_equal": 1, "positive": 1, "reciprocal": 1, "remainder": 2, "round": 1, "rsqrt": 2,
    "rsub": 1, "sgn": 1, "sign": 1, "signbit": 1, "sqrt": 1, "square": 1, "sub": 1, "subtract": 1, "true_divide": 1,
    "trunc": 1, "where": 1, "xlogy": 9, "__and__": 1, "__or__": 1, "__xor__": 1, "__lshift__": 1, "__rshift__": 1,
    "tril": 1, "triu": 1,
}  # fmt: skip

#: Special functions.
_FUNCTIONS = {
    "acos": 10, "acosh": 15, "asin": 10, "asinh": 15, "atan": 10, "atan2": 12, "atanh": 15, "cos": 10, "cosh": 12,
    "digamma": 20, "erf": 10, "erfc": 10, "erfinv": 15, "exp": 8, "exp2": 8, "expm1": 8, "lgamma": 20, "log": 8,
    "log10": 8, "log1p": 8, "log2": 8, "logaddexp": 12, "logit": 10, "pow": 10, "sin": 10, "sinc": 12, "sinh": 12,
    "tan": 12,
}  # fmt: skip

#: Non-linearities that follow a layer, which runtimes fuse into it. Clamping is one: ``relu6`` is a clamp.
_ACTIVATIONS = {
    "celu": 10, "clamp": 2, "clamp_max": 2, "clamp_min": 2, "clip": 2, "elu": 10, "gelu": 14, "hardshrink": 2,
    "hardsigmoid": 4, "hardswish": 5, "hardtanh": 2, "leaky_relu": 2, "log_sigmoid": 12, "mish": 20, "prelu": 2,
    "_prelu_kernel": 2, "relu": 1, "relu6": 2, "rrelu": 2, "selu": 10, "sigmoid": 10, "silu": 11, "softplus": 12,
    "softshrink": 2, "special_expit": 10, "tanh": 10, "threshold": 1,
}  # fmt: skip


#: The function's name where ONNX has another one, so that equal layers of both readers are equal records and
#: the passes that recognise patterns find them.
_FUNCTION_NAMES = {
    "clamp": "clip", "clamp_max": "clip", "clamp_min": "clip", "hardtanh": "clip", "relu6": "clip",
    "divide": "div", "true_divide": "div", "eq": "equal", "ge": "greaterorequal", "greater_equal": "greaterorequal",
    "gt": "greater", "le": "lessorequal", "leaky_relu": "leakyrelu", "less_equal": "lessorequal", "lt": "less",
    "logical_and": "and", "logical_not": "not", "logical_or": "or", "logical_xor": "xor", "masked_fill": "where",
    "maximum": "max", "minimum": "min", "multiply": "mul", "negative": "neg", "_prelu_kernel": "prelu",
    "rsub": "sub", "silu": "swish", "special_expit": "sigmoid", "square": "pow", "subtract": "sub",
}  # fmt: skip


@operators(*_ARITHMETIC)
def arithmetic(call: Call) -> Work:
    return Elementwise(_name(call), call.out.elements, _ARITHMETIC[call.operator])


@operators(*_FUNCTIONS)
def function(call: Call) -> Work:
    return Elementwise(_name(call), call.out.elements, _FUNCTIONS[call.operator])


@operators(*_ACTIVATIONS)
def activation(call: Call) -> Work:
    return Elementwise(_name(call), call.out.elements, _ACTIVATIONS[call.operator], activation=True)


def _name(call: Call) -> str:
    return _FUNCTION_NAMES.get(call.operator, call.operator)


@operators("glu")
def gated(call: Call) -> Work:
    """Gate and value are halves of the input: a sigmoid and a product per output."""
    return Elementwise("glu", call.out.elements, 11, activation=True)


@operators("softmax", "_softmax", "_safe_softmax", "special_softmax", "log_softmax", "_log_softmax",
           "special_log_softmax")  # fmt: skip
def softmax(call: Call) -> Work:
    values = call.first
    row = values.shape[call.arguments["dim"]] if values.shape else 1
    return Softmax(rows=values.elements // max(row, 1), row_elements=row)
