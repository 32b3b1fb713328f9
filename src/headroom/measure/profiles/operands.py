"""The operands of an operator, from what PyTorch's profiler writes with ``record_shapes=True``."""

from __future__ import annotations

from collections.abc import Mapping

from headroom.measure.profiles.events import whole
from headroom.measure.profiles.profile import Operand

#: PyTorch's names of element types, in the words of :class:`headroom.graph.tensor.TensorSpec`.
ELEMENTS = {
    "double": "float64", "float": "float32", "c10::Half": "float16", "c10::BFloat16": "bfloat16",
    "c10::Float8_e4m3fn": "float8", "c10::Float8_e5m2": "float8", "long int": "int64", "long": "int64",
    "int": "int32", "short int": "int16", "signed char": "int8", "unsigned char": "uint8", "bool": "bool",
    "c10::complex<float>": "complex64", "c10::complex<double>": "complex128",
}  # fmt: skip

#: No operator takes more; damage may.
_MOST_OPERANDS = 256
_MOST_DIMENSIONS = 64
_LONGEST_VALUE = 400


def operands(arguments: Mapping[str, object]) -> tuple[Operand, ...]:
    """An operator's operands in the order of its signature; a list of tensors gives one operand for each."""
    dims = _list(arguments.get("Input Dims"))
    types = _list(arguments.get("Input type"))
    strides = _list(arguments.get("Input Strides"))
    values = _list(arguments.get("Concrete Inputs"))
    found: list[Operand] = []
    for place in range(min(max(len(dims), len(types)), _MOST_OPERANDS)):
        found += _operand(_at(dims, place), _at(types, place), _at(strides, place), _at(values, place))
    return tuple(found[:_MOST_OPERANDS])


def _operand(dims: object, kind: object, strides: object, value: object) -> list[Operand]:
    text = value[:_LONGEST_VALUE] if isinstance(value, str) else ""
    name = kind[:_LONGEST_VALUE] if isinstance(kind, str) else ""
    tensors = _list(dims)
    if any(isinstance(each, list) for each in tensors):
        steps = _list(strides)
        return [
            Operand(whole_numbers(each), "", whole_numbers(_at(steps, place)))
            for place, each in enumerate(tensors[:_MOST_OPERANDS])
        ]
    return [Operand(whole_numbers(dims), ELEMENTS.get(name, name), whole_numbers(strides), text)]


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _at(values: list[object], place: int) -> object:
    return values[place] if place < len(values) else None


def whole_numbers(value: object) -> tuple[int, ...]:
    """The whole numbers in a list; damage is left out."""
    numbers = [whole(each) for each in _list(value)[:_MOST_DIMENSIONS]]
    return tuple(number for number in numbers if number is not None)
