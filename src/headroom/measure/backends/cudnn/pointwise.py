"""Elementwise functions as cuDNN's pointwise operations; one that the library lacks is composed of those it has.

Constants that a record does not hold (bounds, slopes) are those of the reference (:mod:`headroom.measure.roles`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from headroom.measure.backends.cudnn.draft import Draft
from headroom.measure.bench import UnsupportedError
from headroom.measure.roles import CLIP_BOUNDS, LEAKY_SLOPE, NUMBERS

_Unary = Callable[[Draft, Any], Any]

#: Functions of one operand that the library has under the same meaning: ours to its.
_SAME_UNARY = {
    "abs": "abs", "ceil": "ceil", "cos": "cos", "elu": "elu", "erf": "erf", "exp": "exp", "floor": "floor",
    "gelu": "gelu", "fastgelu": "gelu_approx_tanh", "log": "log", "neg": "neg", "reciprocal": "reciprocal",
    "relu": "relu", "rsqrt": "rsqrt", "sigmoid": "sigmoid", "sin": "sin", "softplus": "softplus", "sqrt": "sqrt",
    "tan": "tan", "tanh": "tanh",
}  # fmt: skip

#: Functions of two operands in order; ``add``, ``sum``, ``mul``, ``max`` and ``min`` also of more, from the left.
_BINARY = {"add": "add", "sum": "add", "mul": "mul", "max": "max", "min": "min", "sub": "sub", "div": "div"}

#: Gradients of activations: of what comes from behind, and of the activation's input.
_GRADIENTS = {
    "relugrad": "relu_backward",
    "gelugrad": "gelu_backward",
    "fastgelugrad": "gelu_approx_tanh_backward",
}


def apply(draft: Draft, function: str, operands: Sequence[Any]) -> Any:
    """The tensor that ``function`` makes of ``operands``.

    Raises:
        UnsupportedError: the library has no such function of so many operands.
    """
    count = len(operands)
    if count == 1 and (unary := _UNARY.get(function)) is not None:
        return unary(draft, operands[0])
    if count == 2 and function in _GRADIENTS:
        return getattr(draft.graph, _GRADIENTS[function])(loss=operands[0], input=operands[1])
    if function in _BINARY and (count == 2 or (count > 2 and function not in ("sub", "div"))):
        return reduce(getattr(draft.graph, _BINARY[function]), operands)
    if function in _BINARY and count == 1:
        # The model wrote the second operand as a number.
        return getattr(draft.graph, _BINARY[function])(operands[0], draft.number(_number(function)))
    raise UnsupportedError(f"cuDNN has no pointwise {function} of {count} operands")


def _number(function: str) -> float:
    """What stands for a number that no record holds, the same as in the reference."""
    if function not in NUMBERS:
        raise UnsupportedError(f"{function} of one operand is no work")
    return NUMBERS[function]


def _clip(draft: Draft, x: Any) -> Any:
    return draft.graph.relu(x, lower_clip=CLIP_BOUNDS[0], upper_clip=CLIP_BOUNDS[1])


def _leaky_relu(draft: Draft, x: Any) -> Any:
    return draft.graph.relu(x, negative_slope=LEAKY_SLOPE)


def _swish(draft: Draft, x: Any) -> Any:
    return draft.graph.swish(x, swish_beta=1.0)


def _quick_gelu(draft: Draft, x: Any) -> Any:
    return draft.graph.swish(x, swish_beta=1.702)


def _hard_sigmoid(draft: Draft, x: Any) -> Any:
    """``clip(x / 6 + 1 / 2, 0, 1)``, PyTorch's."""
    line = draft.graph.add(draft.graph.mul(x, draft.number(1 / 6)), draft.number(0.5))
    return draft.graph.relu(line, lower_clip=0.0, upper_clip=1.0)


def _hard_swish(draft: Draft, x: Any) -> Any:
    return draft.graph.mul(x, _hard_sigmoid(draft, x))


def _mish(draft: Draft, x: Any) -> Any:
    return draft.graph.mul(x, draft.graph.tanh(draft.graph.softplus(x)))


def _square(draft: Draft, x: Any) -> Any:
    """``pow`` with the exponent that no record holds: 2, as in the reference."""
    return draft.graph.mul(x, x)


def _same(name: str) -> _Unary:
    return lambda draft, x: getattr(draft.graph, name)(x)


_UNARY: dict[str, _Unary] = {
    **{ours: _same(its) for ours, its in _SAME_UNARY.items()},
    "clip": _clip,
    "leakyrelu": _leaky_relu,
    "swish": _swish,
    "quickgelu": _quick_gelu,
    "hardsigmoid": _hard_sigmoid,
    "hardswish": _hard_swish,
    "mish": _mish,
    "pow": _square,
}
