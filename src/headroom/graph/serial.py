"""A :class:`~headroom.graph.graph.Graph` as plain JSON values, and back.

The way back is strict: the values come from a process that has read a stranger's file and may no longer be
ours, so every value is checked against the annotation of the field it fills, and nothing is executed. Both
ways are derived from the records themselves: a new record in :mod:`headroom.graph.work` travels at once.

A record is the list of its fields in order; a layer's work has the name of its record in front.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, get_args, get_origin, get_type_hints

from headroom.errors import ModelError
from headroom.graph import work as records
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.work import Work

#: Integers are sizes and counts: beyond 64 bits nothing is one.
_LARGEST_INTEGER = 2**63 - 1

_Coder = Callable[[Any], Any]


class _MismatchError(Exception):
    """A value that does not fit the field it should fill."""


def graph_to_json(graph: Graph) -> Any:
    """``graph`` as lists, strings and numbers, ready for :func:`json.dumps`."""
    return _encoder(Graph)(graph)


def graph_from_json(data: Any) -> Graph:
    """The graph that :func:`graph_to_json` was given.

    Raises:
        ModelError: a value is missing, of the wrong type or out of range, or the sizes do not add up.
    """
    try:
        graph: Graph = _decoder(Graph)(data)
        for layer in graph.layers:
            _ = layer.kind, layer.macs, layer.flops, layer.gemm
    except _MismatchError as mismatch:
        raise ModelError(f"the reader's answer is not a graph: {mismatch}") from mismatch
    except (ArithmeticError, LookupError, ValueError, RecursionError) as error:
        raise ModelError(f"the reader's answer does not add up: {type(error).__name__}: {error}") from error
    return graph


def layers_to_json(layers: tuple[Layer, ...]) -> Any:
    """Layers as plain JSON values."""
    return _encoder(tuple[Layer, ...])(layers)


def layers_from_json(data: Any) -> tuple[Layer, ...]:
    """The layers that :func:`layers_to_json` was given.

    Raises:
        ModelError: a value is missing, of the wrong type or out of range.
    """
    try:
        layers: tuple[Layer, ...] = _decoder(tuple[Layer, ...])(data)
    except _MismatchError as mismatch:
        raise ModelError(f"these are no layers: {mismatch}") from mismatch
    return layers


def prepare() -> None:
    """Derive the way out for every record now: the annotations are evaluated, which is running code."""
    for annotation in (Graph, *work_records().values()):
        _encoder(annotation)


@cache
def work_records() -> dict[str, type[Any]]:
    """The records that a layer's work may be, by name."""
    return {
        name: record
        for name, record in inspect.getmembers(records, dataclasses.is_dataclass)
        if isinstance(record, type) and hasattr(record, "kind")
    }


def _fields(record: type[Any]) -> dict[str, Any]:
    """Field names of ``record`` and their types, in order."""
    hints = get_type_hints(record)
    return {field.name: hints[field.name] for field in dataclasses.fields(record)}


def _holds_record(annotation: Any) -> bool:
    if annotation is Work or dataclasses.is_dataclass(annotation):
        return True
    return any(_holds_record(part) for part in get_args(annotation))


@cache
def _encoder(annotation: Any) -> _Coder:
    if annotation is Work:
        return _encode_work
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        return _record_encoder(annotation)
    if get_origin(annotation) is tuple and _holds_record(annotation):
        item = get_args(annotation)[0]
        return lambda values: [_encoder(item)(value) for value in values]
    # json.dumps writes a tuple of numbers or strings as it is.
    return lambda value: value


def _encode_work(work: Any) -> list[Any]:
    record: Any = type(work)
    return [record.__name__, *_encoder(record)(work)]


def _record_encoder(record: type[Any]) -> _Coder:
    fields = _fields(record)
    values_of = attrgetter(*fields) if len(fields) > 1 else lambda value: (getattr(value, next(iter(fields))),)
    nested = [(i, kind) for i, kind in enumerate(fields.values()) if _holds_record(kind)]

    def encode(value: Any) -> list[Any]:
        values = list(values_of(value))
        for index, kind in nested:  # looked up here: a layer's parts are layers
            values[index] = _encoder(kind)(values[index])
        return values

    return encode


@cache
def _decoder(annotation: Any) -> _Coder:
    if annotation is Work:
        return _decode_work
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        return _record_decoder(annotation)
    assert get_origin(annotation) is tuple, f"no decoder for {annotation}"
    items = get_args(annotation)
    return _list_decoder(items[0]) if items[-1] is Ellipsis else _sequence_decoder("tuple", items)


def _decode_work(value: Any) -> Any:
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        raise _MismatchError(f"{_shown(value)} is not a layer's work")
    record: Any = work_records().get(value[0])
    if record is None:
        raise _MismatchError(f"{_shown(value[0])} is no kind of work")
    return _decoder(record)(value[1:])


def _record_decoder(record: type[Any]) -> _Coder:
    decode_values = _sequence_decoder(record.__name__, tuple(_fields(record).values()))
    return lambda value: record(*decode_values(value))


def _sequence_decoder(name: str, kinds: tuple[Any, ...]) -> _Coder:
    """A list of exactly these kinds of value, as a tuple."""

    def decode(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) != len(kinds):
            raise _MismatchError(f"{_shown(value)} is not a {name} of {len(kinds)} values")
        return tuple(_decoder(kind)(part) for kind, part in zip(kinds, value, strict=True))

    return decode


def _list_decoder(kind: Any) -> _Coder:
    """A list of any length, as a tuple."""

    def decode(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _MismatchError(f"{_shown(value)} is not a list")
        decode_item = _decoder(kind)
        return tuple([decode_item(item) for item in value])

    return decode


def _decode_text(value: Any) -> str:
    if not isinstance(value, str):
        raise _MismatchError(f"{_shown(value)} is not text")
    return value


def _decode_integer(value: Any) -> int:
    if type(value) is not int or abs(value) > _LARGEST_INTEGER:
        raise _MismatchError(f"{_shown(value)} is not a 64-bit integer")
    return value


def _decode_truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _MismatchError(f"{_shown(value)} is neither true nor false")
    return value


def _decode_fraction(value: Any) -> float:
    if type(value) not in (int, float) or not abs(value) < float("inf"):
        raise _MismatchError(f"{_shown(value)} is not a finite number")
    return float(value)


_SCALARS: dict[Any, _Coder] = {
    str: _decode_text,
    int: _decode_integer,
    bool: _decode_truth,
    float: _decode_fraction,
}


def _shown(value: Any) -> str:
    """The start of ``value``: it may be megabytes long."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    return repr(value[:40]) if isinstance(value, str) else repr(value)[:40]
