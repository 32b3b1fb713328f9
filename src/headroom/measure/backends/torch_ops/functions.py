"""Elementwise functions by the names that both readers give them.

Parameters that no record holds (bounds, slopes, exponents) take the values of the most common use; an operand that
a model wrote as a plain number is such a parameter. They are the same for every backend, and no time depends on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from headroom.measure.roles import CLIP_BOUNDS, LEAKY_SLOPE, NUMBERS

#: Functions of one tensor.
UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "abs": torch.abs,
    "acos": torch.acos,
    "acosh": torch.acosh,
    "asin": torch.asin,
    "asinh": torch.asinh,
    "atan": torch.atan,
    "atanh": torch.atanh,
    "bitwise_not": torch.bitwise_not,
    "bitwisenot": torch.bitwise_not,
    "ceil": torch.ceil,
    "celu": functional.celu,
    "clip": lambda x: torch.clamp(x, *CLIP_BOUNDS),
    "cos": torch.cos,
    "cosh": torch.cosh,
    "digamma": torch.digamma,
    "elu": functional.elu,
    "erf": torch.erf,
    "erfc": torch.erfc,
    "erfinv": torch.erfinv,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "fastgelu": lambda x: functional.gelu(x, approximate="tanh"),
    "floor": torch.floor,
    "frac": torch.frac,
    "gelu": functional.gelu,
    "hardshrink": functional.hardshrink,
    "hardsigmoid": functional.hardsigmoid,
    "hardswish": functional.hardswish,
    "identity": torch.clone,
    "isfinite": torch.isfinite,
    "isinf": torch.isinf,
    "isnan": torch.isnan,
    "leakyrelu": lambda x: functional.leaky_relu(x, LEAKY_SLOPE),
    "lgamma": torch.lgamma,
    "log": torch.log,
    "log10": torch.log10,
    "log1p": torch.log1p,
    "log2": torch.log2,
    "log_sigmoid": functional.logsigmoid,
    "logit": torch.logit,
    "mish": functional.mish,
    "nan_to_num": torch.nan_to_num,
    "neg": torch.neg,
    "not": torch.logical_not,
    "positive": torch.clone,
    "quickgelu": lambda x: x * torch.sigmoid(1.702 * x),
    "reciprocal": torch.reciprocal,
    "relu": torch.relu,
    "round": torch.round,
    "rsqrt": torch.rsqrt,
    "scaledtanh": lambda x: 1.7159 * torch.tanh(x * (2.0 / 3.0)),
    "selu": functional.selu,
    "sgn": torch.sgn,
    "shrink": functional.softshrink,
    "sigmoid": torch.sigmoid,
    "sign": torch.sign,
    "signbit": torch.signbit,
    "sin": torch.sin,
    "sinc": torch.sinc,
    "sinh": torch.sinh,
    "softplus": functional.softplus,
    "softshrink": functional.softshrink,
    "softsign": functional.softsign,
    "sqrt": torch.sqrt,
    "swish": functional.silu,
    "tan": torch.tan,
    "tanh": torch.tanh,
    "threshold": lambda x: functional.threshold(x, 1.0, 0.0),
    "thresholdedrelu": lambda x: functional.threshold(x, 1.0, 0.0),
    "tril": torch.tril,
    "triu": torch.triu,
    "trunc": torch.trunc,
}

#: Functions of two tensors, and the number that stands for the second one where the model wrote a number.
BINARY: dict[str, tuple[Callable[[Any, Any], Tensor], float]] = {
    "add": (torch.add, NUMBERS["add"]),
    "and": (torch.logical_and, 1.0),
    "atan2": (torch.atan2, 1.0),
    "biasadd": (torch.add, 1.0),
    "biasgelu": (lambda x, b: functional.gelu(x + b), 0.0),
    "bitwise_and": (torch.bitwise_and, 1),
    "bitwise_or": (torch.bitwise_or, 1),
    "bitwise_xor": (torch.bitwise_xor, 1),
    "copysign": (torch.copysign, 1.0),
    "div": (torch.div, NUMBERS["div"]),
    "equal": (torch.eq, 0.0),
    "floor_divide": (torch.floor_divide, 2.0),
    "fmax": (lambda x, y: torch.fmax(x, _like(y, x)), 0.0),
    "fmin": (lambda x, y: torch.fmin(x, _like(y, x)), 0.0),
    "fmod": (torch.fmod, 2.0),
    "greater": (torch.gt, 0.0),
    "greaterorequal": (torch.ge, 0.0),
    "heaviside": (lambda x, y: torch.heaviside(x, _like(y, x)), 0.0),
    "less": (torch.lt, 0.0),
    "lessorequal": (torch.le, 0.0),
    "logaddexp": (lambda x, y: torch.logaddexp(x, _like(y, x)), 0.0),
    "max": (lambda x, y: torch.maximum(x, _like(y, x)), NUMBERS["max"]),
    "min": (lambda x, y: torch.minimum(x, _like(y, x)), NUMBERS["min"]),
    "mod": (torch.remainder, 2.0),
    "mul": (torch.mul, NUMBERS["mul"]),
    "ne": (torch.ne, 0.0),
    "not_equal": (torch.ne, 0.0),
    "or": (torch.logical_or, 0.0),
    "pow": (torch.pow, 2.0),
    "remainder": (torch.remainder, 2.0),
    "sub": (torch.sub, NUMBERS["sub"]),
    "swiglu": (lambda x, y: functional.silu(x) * y, 1.0),
    "xlogy": (torch.xlogy, 2.0),
    "xor": (torch.logical_xor, 0.0),
    # Gradients of activations: what comes from behind, and the activation's input or output.
    "relugrad": (lambda dy, x: torch.ops.aten.threshold_backward(dy, x, 0), 1.0),
    "sigmoidgrad": (lambda dy, y: torch.ops.aten.sigmoid_backward(dy, y), 0.5),
    "tanhgrad": (lambda dy, y: torch.ops.aten.tanh_backward(dy, y), 0.5),
    "gelugrad": (lambda dy, x: torch.ops.aten.gelu_backward(dy, x), 1.0),
    "fastgelugrad": (lambda dy, x: torch.ops.aten.gelu_backward(dy, x, approximate="tanh"), 1.0),
}

#: Functions of any number of tensors beyond one, from the left; ``mean`` divides afterwards.
VARIADIC = {"sum": torch.add, "mean": torch.add, "max": torch.maximum, "min": torch.minimum}

#: Functions that are finite on part of the line only, and an interval inside it.
DOMAINS: dict[str, tuple[float, float]] = {
    "acosh": (1.5, 2.5),
    **dict.fromkeys(("acos", "asin", "atanh", "erfinv"), (-0.9, 0.9)),
    "logit": (0.1, 0.9),
    **dict.fromkeys(
        ("log", "log10", "log1p", "log2", "sqrt", "rsqrt", "reciprocal", "pow", "div", "floor_divide", "fmod", "mod",
         "remainder", "xlogy", "digamma", "lgamma"),
        (0.5, 1.5),
    ),
}  # fmt: skip


def _like(value: Any, tensor: Tensor) -> Tensor:
    """A tensor for functions that take no number."""
    return value if isinstance(value, Tensor) else torch.full((), value, dtype=tensor.dtype, device=tensor.device)
