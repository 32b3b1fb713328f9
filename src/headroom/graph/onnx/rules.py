"""What the values of a node's attributes may be: the ONNX checker compares types and looks at no value.

An attribute of one name means the same in every operator, so most rules go by name alone; the few operators
that differ are listed beside them. A rule takes the values of an attribute as a list and says what they
should be, or nothing when they are right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import onnx

from headroom.graph.onnx import limits

Rule = Callable[[Sequence[Any]], str | None]


def _between(low: int, high: int = limits.DIMENSION) -> Rule:
    def rule(values: Sequence[Any]) -> str | None:
        return None if all(low <= value <= high for value in values) else f"{low} to {high}"

    return rule


def _one_of(*choices: str) -> Rule:
    allowed = {choice.encode() for choice in choices}

    def rule(values: Sequence[Any]) -> str | None:
        return None if allowed.issuperset(values) else "one of " + ", ".join(choices)

    return rule


def _axes(values: Sequence[Any]) -> str | None:
    in_range = all(-limits.RANK <= value < limits.RANK for value in values)
    return None if in_range and len(set(values)) == len(values) else "distinct axes of the tensor"


def _permutation(values: Sequence[Any]) -> str | None:
    return None if sorted(values) == list(range(len(values))) else f"a permutation of 0 to {len(values) - 1}"


def _pads(values: Sequence[Any]) -> str | None:
    if len(values) % 2 == 0 and all(0 <= value <= limits.DIMENSION for value in values):
        return None
    return "a begin and an end of at least 0 per dimension"


def _signed_pads(values: Sequence[Any]) -> str | None:
    if len(values) % 2 == 0 and all(abs(value) <= limits.DIMENSION for value in values):
        return None
    return f"a begin and an end per dimension, none beyond {limits.DIMENSION}"


def _positive(values: Sequence[Any]) -> str | None:
    return None if all(0 < value < math.inf for value in values) else "finite and above 0"


def _element_type(values: Sequence[Any]) -> str | None:
    known = onnx.TensorProto.DataType.values()
    return None if all(value in known for value in values) else "an element type of ONNX"


def _static_shape(values: Sequence[Any]) -> str | None:
    if all(1 <= value <= limits.DIMENSION for value in values) and math.prod(values) <= limits.ELEMENTS:
        return None
    return f"sizes of at least 1, at most {limits.ELEMENTS} elements in all"


def _equation(values: Sequence[Any]) -> str | None:
    # Inference of the ONNX library never comes back from an equation with bytes beyond ASCII.
    return None if all(_EQUATION.fullmatch(value) for value in values) else "an equation such as ij,jk->ik"


_EQUATION = re.compile(rb"[A-Za-z., ]{0,1000}(->[A-Za-z. ]{0,200})?")
_SIZE = _between(1)
_COUNT = _between(0)
_SWITCH = _between(0, 1)
_AXIS = _between(-limits.RANK, limits.RANK - 1)
#: Integers of no particular meaning still fit 32 bits: nothing that computes with them overflows.
_ANY_INTEGER = _between(-limits.DIMENSION - 1)
_UNBOUNDED: Rule = lambda values: None  # noqa: E731 - a rule like its neighbours

_BY_NAME: dict[str, Rule] = {
    "axes": _axes,
    "axis": _AXIS,
    "batch_axis": _AXIS,
    "batch_dims": _between(0, limits.RANK),
    "block_size": _COUNT,
    "blocksize": _SIZE,
    "ceil_mode": _SWITCH,
    "chunk_size": _SIZE,
    "count_include_pad": _SWITCH,
    "dilations": _SIZE,
    "dtype": _element_type,
    "group": _SIZE,
    "height_scale": _positive,
    "hidden_size": _SIZE,
    "keepdims": _SWITCH,
    "kernel_shape": _SIZE,
    "kv_num_heads": _SIZE,
    "layout": _SWITCH,
    "new_axis": _SWITCH,
    "num_groups": _SIZE,
    "num_heads": _COUNT,
    "num_outputs": _between(1, limits.NODE_TENSORS),
    "num_scan_inputs": _between(1, limits.NODE_TENSORS),
    "offset_group": _SIZE,
    "output_dtype": _element_type,
    "output_height": _SIZE,
    "output_padding": _COUNT,
    "output_shape": _SIZE,
    "output_width": _SIZE,
    "pads": _pads,
    "perm": _permutation,
    "pooled_shape": _SIZE,
    "q_num_heads": _SIZE,
    "rotary_embedding_dim": _COUNT,
    "sample_size": _SIZE,
    "sampling_ratio": _COUNT,
    "scales": _positive,
    "size": _SIZE,
    "spatial_scale": _positive,
    "split": _COUNT,
    "strides": _SIZE,
    "time_axis": _AXIS,
    "transA": _SWITCH,
    "transB": _SWITCH,
    "width_scale": _positive,
}

_AUTO_PAD = _one_of("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
_DIRECTION = _one_of("forward", "reverse", "bidirectional")

_TEXT: dict[tuple[str, str], Rule] = {
    ("AveragePool", "auto_pad"): _AUTO_PAD,
    ("Conv", "auto_pad"): _AUTO_PAD,
    ("ConvInteger", "auto_pad"): _AUTO_PAD,
    ("ConvTranspose", "auto_pad"): _AUTO_PAD,
    ("Einsum", "equation"): _equation,
    ("FusedConv", "auto_pad"): _AUTO_PAD,
    ("LpPool", "auto_pad"): _AUTO_PAD,
    ("MaxPool", "auto_pad"): _AUTO_PAD,
    ("QLinearConv", "auto_pad"): _AUTO_PAD,
    ("GRU", "direction"): _DIRECTION,
    ("LSTM", "direction"): _DIRECTION,
    ("RNN", "direction"): _DIRECTION,
}

_BY_OPERATOR: dict[tuple[str, str], Rule] = {
    # A slice may end "at the largest integer", meaning the end of the tensor.
    ("Slice", "starts"): _UNBOUNDED,
    ("Slice", "ends"): _UNBOUNDED,
    ("Constant", "value_int"): _UNBOUNDED,
    ("Constant", "value_ints"): _UNBOUNDED,
    ("TfIdfVectorizer", "pool_int64s"): _UNBOUNDED,
    ("SoftmaxCrossEntropyLoss", "ignore_index"): _UNBOUNDED,
    ("NegativeLogLikelihoodLoss", "ignore_index"): _UNBOUNDED,
    ("Cast", "to"): _element_type,
    ("BitCast", "to"): _element_type,
    # Padding by a negative number crops.
    ("Pad", "pads"): _signed_pads,
    ("Pad", "paddings"): _signed_pads,
    ("RandomNormal", "shape"): _static_shape,
    ("RandomUniform", "shape"): _static_shape,
    ("Reshape", "shape"): _between(-1),
    ("TopK", "k"): _SIZE,
    ("LpPool", "p"): _positive,
    ("GlobalLpPool", "p"): _positive,
    ("LpNormalization", "p"): _positive,
}

_TYPE = onnx.AttributeProto.AttributeType
_VALUES: dict[int, Callable[[onnx.AttributeProto], Sequence[Any]]] = {
    _TYPE.INT: lambda attribute: (attribute.i,),
    _TYPE.INTS: lambda attribute: attribute.ints,
    _TYPE.FLOAT: lambda attribute: (attribute.f,),
    _TYPE.FLOATS: lambda attribute: attribute.floats,
    _TYPE.STRING: lambda attribute: (attribute.s,),
    _TYPE.STRINGS: lambda attribute: attribute.strings,
}


def values_of(attribute: onnx.AttributeProto) -> Sequence[Any]:
    """The numbers or strings of an attribute; none for tensors and graphs."""
    read = _VALUES.get(attribute.type)
    return read(attribute) if read is not None else ()


def complaint(operator: str, attribute: onnx.AttributeProto) -> str | None:
    """What the values of ``attribute`` should be, or ``None`` when they are right."""
    rule: Rule | None
    if attribute.type in (_TYPE.STRING, _TYPE.STRINGS):
        rule = _TEXT.get((operator, attribute.name))
    else:
        rule = _BY_OPERATOR.get((operator, attribute.name)) or _BY_NAME.get(attribute.name)
        if rule is None and attribute.type in (_TYPE.INT, _TYPE.INTS):
            rule = _ANY_INTEGER
    return rule(values_of(attribute)) if rule is not None else None
