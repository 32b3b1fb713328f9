"""What an operator's operands say about its work."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headroom.advise.matching.signature import Family, Signature
from headroom.measure.profiles.profile import Call

_Dims = tuple[int, ...]

#: A convolution of ONNX Runtime reads data, weight and bias; one operand more is what it adds.
_BIASED_OPERANDS = 3

#: What ONNX Runtime folds into a convolution's weight and bias when it loads a model, and what it adds as it runs.
_FOLDED = frozenset({"batch", "mul", "add"})


def call_signature(call: Call, family: Family, functions: frozenset[str]) -> Signature:
    """The signature of an operator's call; its dimensions are empty where the profile has no shapes."""
    tensors = [operand.dims for operand in call.operands if operand.dims]
    name = call.name.rsplit("::", 1)[-1].rstrip("_")
    source = tensors[0] if tensors else ()
    if family is Family.CONVOLUTION:
        if "::" not in call.name and len(tensors) >= _BIASED_OPERANDS:
            functions |= _FOLDED
        return Signature(family, functions, source, tensors[1] if len(tensors) > 1 else ())
    if family is Family.PRODUCT:
        left, right = _factors(name, tensors)
        return Signature(family, functions, left, right, _product(name, left, right))
    if family is Family.POINTWISE and tensors:
        halved = 2 if "glu" in functions else 1
        return Signature(family, functions, source, written=math.prod(_broadcast(tensors[:3])) // halved)
    if family is Family.MOVEMENT:
        return Signature(family, functions, written=_moved(functions, tensors))
    if family is Family.EMBEDDING:
        return Signature(family, functions, weight=source)
    return Signature(family, functions, source)


def _moved(functions: frozenset[str], tensors: Sequence[_Dims]) -> int | None:
    """Values that a movement writes, where its operands tell."""
    if not tensors:
        return None
    if "concat" in functions:
        return sum(map(math.prod, tensors))
    return math.prod(tensors[0]) if functions & {"copy", "cast"} else None


def _factors(name: str, tensors: Sequence[_Dims]) -> tuple[_Dims, _Dims]:
    """The two operands that are multiplied: the first of an ``addmm`` is added."""
    first = 1 if "add" in name and len(tensors) > 2 else 0
    if len(tensors) < first + 2:
        return (), ()
    return tensors[first], tensors[first + 1]


def _product(name: str, left: _Dims, right: _Dims) -> tuple[int, int] | None:
    """Multiply-adds and the summed dimension."""
    if not left or not right:
        return None
    k = left[-1]
    if len(right) == 1 and name.lower().endswith("gemm"):
        # ONNX Runtime packs a constant weight beforehand and lists the bias alone.
        return math.prod(left) * right[0], k
    # A linear layer's weight lies as (out, in); every other product has (k, n) at the end.
    columns = math.prod(right) // k if k else 0
    if name == "linear" or len(right) <= 2:
        return math.prod(left) * columns, k
    return math.prod(left) * right[-1], k


def _broadcast(shapes: Sequence[_Dims]) -> _Dims:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(max(sizes) for sizes in zip(*padded, strict=True))
