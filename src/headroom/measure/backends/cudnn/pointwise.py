"""Elementwise functions as cuDNN's pointwise operations; one that the library lacks is composed of those it has.

Constants that a record does not hold (bounds, slopes) are those of the reference (:mod:`headroom.measure.roles`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from headroom.measure.backends.cudnn.draft import Draft
from headroom.measure.bench import UnsupportedError
from headroom.measure.roles import CLIP_BOUNDS, LEAKY_SLOPE

_Unary = Callable[[Draft, Any], Any]

#: Functions of one operand that the library has under the same meaning: ours to its.
_SAME_UNARY = {
    "abs": "abs", "ceil": "ceil", "cos": "cos", "elu": "elu", "erf": "erf", "exp": "exp", "floor": "floor",
    "gelu": "gelu", "fastgelu": "gelu_approx_tanh", "log": "log", "neg": "neg", "reciprocal": "reciprocal",
    "relu": "relu", "rsqrt": "rsqrt", "sigmoid": "sigmoid", "sin": "sin", "softplus": "softplus", "sqrt": "sqrt",
    "tan": "tan", "tanh": "tanh",
}  # fmt: skip

#: Functions of two or more operands, applied from the left.
_FOLDED = {"add": "add", "sum": "add", "mul": "mul", "max": "max", "min": "min"}

#: Functions of exactly two operands in order.
_ORDERED = {"sub": "sub", "div": "div"}


def apply(draft: Draft, function: str, operands: Sequence[Any]) -> Any:
    """The tensor that ``function`` makes of ``operands``.

    Raises:
        UnsupportedError: the library has no such function of so many operands.
    """
    if function in _FOLDED or function in _ORDERED:
        # An operand that is read twice stands once in the record.
        pair = list(operands) * 2 if len(operands) == 1 else list(operands)
        if function in _ORDERED and len(pair) != 2:
            raise UnsupportedError(f"{function} of {len(pair)} operands")
        return reduce(getattr(draft.graph, (_FOLDED | _ORDERED)[function]), pair)
    if function == "relugrad" and len(operands) == 2:
        return draft.graph.relu_backward(loss=operands[0], input=operands[1])
    if len(operands) != 1:
        raise UnsupportedError(f"cuDNN has no pointwise {function} of {len(operands)} operands")
    if function in _SAME_UNARY:
        return getattr(draft.graph, _SAME_UNARY[function])(operands[0])
    if function in _COMPOSED:
        return _COMPOSED[function](draft, operands[0])
    raise UnsupportedError(f"cuDNN has no pointwise {function}")


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


_COMPOSED: dict[str, _Unary] = {
    "clip": _clip,
    "leakyrelu": _leaky_relu,
    "swish": _swish,
    "quickgelu": _quick_gelu,
    "hardsigmoid": _hard_sigmoid,
    "hardswish": _hard_swish,
    "mish": _mish,
}
