"""The protobuf wire format, walked by hand: cut the weights out of a model file before anyone parses it.

A model of 1.9 GB is a few hundred kilobytes of structure around its weights. :func:`read_skeleton` walks the
file field by field, copies the structure and steps over the weights' bytes, so that they are never read. A
tensor whose data was cut says so as a tensor with external data does: nobody is to look for its values.

Field numbers are those of ``onnx.proto`` (they cannot change); the wire format is described at
https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from headroom.errors import ModelError
from headroom.graph.onnx import limits

#: Read ahead: structure is read in few calls, and weights longer than this are stepped over unread.
_BLOCK_BYTES = 64 * 1024

#: Messages up to this length are copied whole: the data they hold is short.
_SMALL_MESSAGE_BYTES = limits.FLOAT_DATA_BYTES


class _Wire(IntEnum):
    VARINT = 0
    FIXED64 = 1
    LENGTH = 2
    START_GROUP = 3
    END_GROUP = 4
    FIXED32 = 5


class _Field(NamedTuple):
    """One field of a message: where it starts, where its content lies, where the next one starts."""

    number: int
    wire: int
    start: int
    content: int
    end: int
    value: int


@dataclass(frozen=True)
class _Message:
    """What to do with the fields of a message: which are messages to walk, which are dropped."""

    name: str
    nested: dict[int, _Message] = field(default_factory=dict)
    dropped: frozenset[int] = frozenset()


_TENSOR = _Message("TensorProto")
_SPARSE_TENSOR = _Message("SparseTensorProto", {1: _TENSOR, 2: _TENSOR})
_ATTRIBUTE = _Message("AttributeProto")
_NODE = _Message("NodeProto", {5: _ATTRIBUTE})
_GRAPH = _Message("GraphProto", {1: _NODE, 5: _TENSOR, 15: _SPARSE_TENSOR})
_ATTRIBUTE.nested.update({5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE_TENSOR, 23: _SPARSE_TENSOR})
_FUNCTION = _Message("FunctionProto", {7: _NODE, 11: _ATTRIBUTE})
# Field 20 is training_info: graphs that run outside the model, which no bound is asked for.
_MODEL = _Message("ModelProto", {7: _GRAPH, 25: _FUNCTION}, dropped=frozenset({20}))

_TENSOR_DATA_TYPE, _TENSOR_RAW_DATA, _TENSOR_DATA_LOCATION = 2, 9, 14
#: float_data, int32_data, string_data, int64_data, raw_data, double_data, uint64_data.
_TENSOR_DATA = frozenset({4, 5, 6, 7, 9, 10, 11})
#: TensorProto.DataType of the integer types and bool, whose values are shapes and indices.
_INTEGER_TYPES = frozenset({2, 3, 4, 5, 6, 7, 9, 12, 13})
#: ``data_location: EXTERNAL`` as bytes; the last value of a field counts.
_DATA_IS_ELSEWHERE = bytes([_TENSOR_DATA_LOCATION << 3, 1])


def read_skeleton(descriptor: int, size: int) -> bytes:
    """The model in the open file ``descriptor`` (``size`` bytes long) as a serialized ModelProto without weights.

    Raises:
        ModelError: the bytes are not a protobuf message, end too early, nest too deep, or hold too much
            besides weights.
    """
    if size == 0:
        raise ModelError("the file is empty; export the model again")
    walker = _Walker(_Source(descriptor, size))
    pieces = walker.message(_MODEL, 0, size, depth=0)
    if not walker.has_graph:
        raise ModelError("the file holds no ONNX graph; it is another kind of file, or was cut short")
    return b"".join(pieces)


class _Source:
    """A file read in blocks at any offset, without ``mmap``: that would count against the address space."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self.size = size
        self._block = b""
        self._block_start = 0

    def read(self, start: int, length: int) -> bytes:
        offset = start - self._block_start
        if offset < 0 or offset + length > len(self._block):
            self._block = self._read_from_file(start, max(length, min(_BLOCK_BYTES, self.size - start)))
            self._block_start, offset = start, 0
        return self._block[offset : offset + length]

    def _read_from_file(self, start: int, length: int) -> bytes:
        parts: list[bytes] = []
        while length > 0:
            os.lseek(self._descriptor, start, os.SEEK_SET)
            part = os.read(self._descriptor, length)
            if not part:
                raise ModelError("the file became shorter while it was read; try again")
            parts.append(part)
            start, length = start + len(part), length - len(part)
        return b"".join(parts)


class _Walker:
    """Walks messages and gathers what is kept of them."""

    def __init__(self, source: _Source) -> None:
        self._source = source
        self._kept_bytes = 0
        self.has_graph = False

    def message(self, kind: _Message, start: int, end: int, depth: int) -> list[bytes]:
        """The bytes to keep of the message of ``kind`` between two offsets."""
        if depth > limits.MESSAGE_DEPTH:
            raise ModelError(
                f"messages are nested more than {limits.MESSAGE_DEPTH} deep at byte {start}; "
                "no exporter writes such a file"
            )
        if kind is _TENSOR:
            return self._tensor(start, end)
        pieces: list[bytes] = []
        kept_from = start
        for item in self._fields(kind, start, end):
            nested = kind.nested.get(item.number) if item.wire == _Wire.LENGTH else None
            self.has_graph |= nested is _GRAPH
            if item.number in kind.dropped:
                pieces += self._copy(kept_from, item.start)
            elif nested is not None and item.end - item.content > _SMALL_MESSAGE_BYTES:
                pieces += self._copy(kept_from, item.start)
                inner = self.message(nested, item.content, item.end, depth + 1)
                pieces += (_header(item.number, sum(map(len, inner))), *inner)
            else:
                continue
            kept_from = item.end
        return pieces + self._copy(kept_from, end)

    def _tensor(self, start: int, end: int) -> list[bytes]:
        """A tensor, without its data if that is long."""
        fields = list(self._fields(_TENSOR, start, end))
        data_bytes = sum(item.end - item.content for item in fields if item.number in _TENSOR_DATA)
        types = [item.value for item in fields if item.number == _TENSOR_DATA_TYPE]
        is_integer = bool(types) and types[-1] in _INTEGER_TYPES
        if data_bytes <= (limits.INTEGER_DATA_BYTES if is_integer else limits.FLOAT_DATA_BYTES):
            return self._copy(start, end)
        pieces: list[bytes] = []
        kept_from = start
        for item in fields:
            if item.number in _TENSOR_DATA:
                pieces += self._copy(kept_from, item.start)
                kept_from = item.end
        return [*pieces, *self._copy(kept_from, end), _DATA_IS_ELSEWHERE]

    def _fields(self, kind: _Message, start: int, end: int) -> Iterator[_Field]:
        """The fields of a message, in order."""
        position = start
        while position < end:
            tag, content = self._varint(position, end)
            number, wire = tag >> 3, tag & 7
            value = 0
            if wire == _Wire.VARINT:
                value, after = self._varint(content, end)
            elif wire == _Wire.LENGTH:
                length, content = self._varint(content, end)
                after = content + length
            elif wire in (_Wire.FIXED32, _Wire.FIXED64):
                after = content + (8 if wire == _Wire.FIXED64 else 4)
            else:
                raise _malformed(f"a field of wire type {wire}, which ONNX does not use", kind, position)
            if number == 0:
                raise _malformed("a field numbered 0", kind, position)
            if after > end:
                missing = after - end
                raise _malformed(f"a field that ends {missing} bytes after its message", kind, position)
            yield _Field(number, wire, position, content, after, value)
            position = after

    def _varint(self, start: int, end: int) -> tuple[int, int]:
        """A variable-length integer and the offset after it."""
        value = 0
        for index, byte in enumerate(self._source.read(start, min(10, end - start))):
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value, start + index + 1
        raise ModelError(f"the number at byte {start} does not end; the file is damaged or was cut short")

    def _copy(self, start: int, end: int) -> list[bytes]:
        """The bytes between two offsets, counted against what may be kept."""
        if start == end:
            return []
        self._kept_bytes += end - start
        if self._kept_bytes > limits.SKELETON_BYTES:
            raise ModelError(
                f"the file holds more than {limits.SKELETON_BYTES // limits.MIB} MiB besides its weights; "
                "export the model with fewer constants in its nodes"
            )
        return [self._source.read(start, end - start)]


def _header(number: int, length: int) -> bytes:
    """Tag and length of a message field."""
    return _encode_varint(number << 3 | _Wire.LENGTH) + _encode_varint(length)


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _malformed(what: str, kind: _Message, position: int) -> ModelError:
    return ModelError(
        f"byte {position} of the file ({kind.name}) starts {what}; the file is damaged, was cut short, "
        "or is not an ONNX model"
    )
