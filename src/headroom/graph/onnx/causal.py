"""Constant masks that hide the future: attention under one is causal, and half its scores are never needed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from headroom.graph.onnx.call import Call, Value

#: What is added to, or put in the place of, a score that must not count; exporters write -inf, the smallest number
#: of a type, or -10000.
_NEVER = -1e4


def hides_the_future(call: Call) -> bool:
    """Whether a node takes scores (..., n, n) and leaves, in row i, exactly columns 0 to i to be counted."""
    if call.domain:
        return False
    match call.operator:
        case "Add":
            return any(_is_triangle(_kept_by_sum(value)) for value in call.inputs)
        case "Where":
            return _is_triangle(_kept_by_choice(call))
    return False


def _matrix(value: Value | None) -> NDArray[Any] | None:
    """Contents that are one or more square matrices."""
    data = None if value is None or not value.constant else value.data
    square = data is not None and data.ndim >= 2 and data.shape[-1] == data.shape[-2] > 1
    return data if square else None


def _kept_by_sum(value: Value | None) -> NDArray[Any] | None:
    """The scores that an added mask leaves as they are, if it does nothing but leave and hide."""
    mask = _matrix(value)
    if mask is None or not np.all((mask == 0) | (mask <= _NEVER)):
        return None
    return np.asarray(mask == 0)


def _kept_by_choice(call: Call) -> NDArray[Any] | None:
    """The scores that a Where lets through; the others become a number that counts as nothing."""
    choice = _matrix(call.value(0))
    if choice is None:
        return None
    for position, kept in ((1, choice == 0), (2, choice != 0)):
        filler = call.value(position)
        if filler is not None and filler.constant:
            hidden = filler.data is not None and filler.data.size == 1 and bool(filler.data.ravel()[0] <= _NEVER)
            return np.asarray(kept) if hidden else None
    return None


def _is_triangle(kept: NDArray[Any] | None) -> bool:
    return kept is not None and bool(
        np.array_equal(kept, np.broadcast_to(np.tri(kept.shape[-1], dtype=bool), kept.shape))
    )
