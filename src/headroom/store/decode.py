"""Records from JSON that a stranger may have written: every value is checked against the field that it fills."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

#: Integers beyond this fit no column.
_LARGEST_INTEGER = 2**63 - 1

_T = TypeVar("_T")


class DecodeError(ValueError):
    """A value that does not fit; the text says which and what was expected."""


def decode(kind: type[_T], value: object, where: str) -> _T:
    """``value`` as a ``kind``: a scalar, an enumeration, a tuple or a dataclass of these (an object by field name).

    Raises:
        DecodeError: it does not fit; ``where`` and the field are named.
    """
    found: _T = _decode(kind, value, where)
    return found


def _decode(kind: Any, value: Any, where: str) -> Any:
    if isinstance(kind, types.UnionType):
        return _decode_optional(kind, value, where)
    if get_origin(kind) is tuple:
        return _decode_tuple(get_args(kind), value, where)
    if dataclasses.is_dataclass(kind):
        return _decode_record(kind, value, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        choices = [str(choice.value) for choice in kind]
        _expect(isinstance(value, str) and value in choices, value, where, f"one of {', '.join(choices)}")
        return kind(value)
    if kind is float:
        _expect(type(value) in (int, float) and abs(value) < float("inf"), value, where, "a finite number")
        return float(value)
    if kind is int:
        _expect(type(value) is int and abs(value) <= _LARGEST_INTEGER, value, where, "a whole number")
        return value
    assert kind is str, f"no decoder for {kind}"
    _expect(isinstance(value, str), value, where, "a text")
    return value


def _decode_optional(kind: types.UnionType, value: Any, where: str) -> Any:
    if value is None:
        return None
    (inner,) = (part for part in get_args(kind) if part is not types.NoneType)
    return _decode(inner, value, where)


def _decode_tuple(items: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    _expect(isinstance(value, list), value, where, "a list")
    if items[-1] is Ellipsis:
        items = items[:1] * len(value)
    _expect(len(value) == len(items), value, where, f"a list of {len(items)}")
    return tuple(_decode(item, part, f"{where}[{i}]") for i, (item, part) in enumerate(zip(items, value, strict=True)))


def _decode_record(kind: Any, value: Any, where: str) -> Any:
    _expect(isinstance(value, Mapping), value, where, "an object")
    hints, required = _shape(kind)
    for name in required - set(value):
        raise DecodeError(f"{where} has no {name}")
    for name in set(value) - set(hints):
        raise DecodeError(f"{where} has {name[:40]!r}, which is no field of a {kind.__name__}")
    return kind(**{name: _decode(hints[name], part, f"{where}.{name}") for name, part in value.items()})


@cache
def _shape(kind: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """The types of a record's fields by name, and the names without a default."""
    required = frozenset(field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING)
    return get_type_hints(kind), required


def _expect(fits: bool, value: Any, where: str, what: str) -> None:
    if not fits:
        raise DecodeError(f"{where} is {repr(value)[:60]}, expected {what}")
