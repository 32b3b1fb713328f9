"""Damaged and invented model files, from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import onnx
from onnx import defs

from graph.safety import hostile

#: Bytes that mean something in the wire format: small tags, continued and longest varints.
_TELLING = [0x00, 0x01, 0x7F, 0x80, 0xFF, 0x08, 0x0A, 0x12, 0x3A, 0x42, 0x0B, 0x0C]


def _flip(rng: random.Random, data: bytearray) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _overwrite(rng: random.Random, data: bytearray) -> None:
    data[rng.randrange(len(data))] = rng.choice(_TELLING)


def _insert(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    data[at:at] = bytes(rng.choice(_TELLING) for _ in range(rng.randrange(1, 12)))


def _delete(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.randrange(1, 40)]


def _repeat(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    data[at:at] = data[at : at + rng.randrange(1, 200)]


def _truncate(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(1, len(data)) :]


def _endless_number(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    data[at : at + 1] = b"\xff" * rng.randrange(1, 10) + b"\x01"


_CHANGES: list[Callable[[random.Random, bytearray], None]] = [
    _flip, _flip, _flip, _overwrite, _overwrite, _insert, _delete, _repeat, _truncate, _endless_number,
]  # fmt: skip


def mutant(original: bytes, seed: int) -> bytes:
    """``original`` with one to four small changes."""
    rng = random.Random(seed)
    data = bytearray(original)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if data:
            rng.choice(_CHANGES)(rng, data)
    return bytes(data)


_SIZES = (1, 2, 3, 4, 8, 16, 17, 1024, 65_536, 2**31 - 1, 2**31, 2**62, 0, -1, -(2**63))
_DIMENSIONS = (1, 1, 2, 3, 4, 8, 8, 16, 224, 2**20, 2**31 - 1, "N", None, 0, -1)
_TEXTS = (b"", b"SAME_UPPER", b"NOTSET", b"bidirectional", b"ij,jk->ik", b"linear", b"\xff\x00", b"x" * 5000)
_NUMBERS = (0.0, 1.0, -1.0, 1e-5, 3e38, float("nan"), float("inf"))

_SCHEMAS = sorted((schema for schema in defs.get_all_schemas() if schema.domain == ""), key=lambda schema: schema.name)
_TYPE = onnx.AttributeProto.AttributeType


def invented(seed: int) -> bytes:
    """A model of one to six random operators with random operands and attributes, many of them absurd."""
    rng = random.Random(seed)
    known = ["x0", "x1"]
    inputs = [hostile.value(name, _random_shape(rng), rng.choice((1, 1, 1, 7, 9, 10))) for name in known]
    constants: list[onnx.TensorProto] = []
    nodes = []
    for index in range(rng.randint(1, 6)):
        schema = rng.choice(_SCHEMAS)
        reads = [_operand(rng, known, constants) for _ in range(_count(rng, schema.min_input, schema.max_input))]
        writes = [f"t{index}_{i}" for i in range(_count(rng, schema.min_output, schema.max_output))]
        node = hostile.node(schema.name, reads, writes)
        node.attribute.extend(_attributes(rng, schema))
        nodes.append(node)
        known += writes
    made = hostile.model(nodes, inputs, known[-1:], constants, opset=rng.choice((28, 28, 20, 13, 9, 7)))
    return made.SerializeToString()


def _random_shape(rng: random.Random) -> list[int | str | None]:
    return [rng.choice(_DIMENSIONS) if rng.random() < 0.15 else rng.choice((1, 4, 8)) for _ in range(rng.randint(0, 5))]


def _count(rng: random.Random, least: int, most: int) -> int:
    return rng.randint(least, max(least, min(most, least + 3)))


def _operand(rng: random.Random, known: Sequence[str], constants: list[onnx.TensorProto]) -> str:
    """A tensor that exists, an integer constant made for the purpose, or nothing."""
    roll = rng.random()
    if roll < 0.6:
        return rng.choice(known)
    if roll > 0.95:
        return ""
    name = f"c{len(constants)}"
    count = rng.randint(0, 5)
    if rng.random() < 0.6:
        constants.append(hostile.ints(name, [rng.choice(_SIZES[:9]) for _ in range(count)]))
    elif rng.random() < 0.5:
        values = [max(-(2**63), rng.choice(_SIZES)) for _ in range(count)]
        constants.append(hostile.ints(name, values))
    else:
        constants.append(hostile.weights(name, [rng.choice((1, 3, 8)) for _ in range(rng.randint(0, 5))]))
    return name


def _attributes(rng: random.Random, schema: defs.OpSchema) -> list[onnx.AttributeProto]:
    made = []
    for attribute in schema.attributes.values():
        if not attribute.required and rng.random() < 0.5:
            continue
        kind = int(attribute.type.value)
        if rng.random() < 0.03:
            kind = rng.choice((_TYPE.INT, _TYPE.INTS, _TYPE.STRING, _TYPE.FLOAT))
        made.append(onnx.AttributeProto(name=attribute.name, type=kind, **_content(rng, kind)))
    return made


def _content(rng: random.Random, kind: int) -> dict[str, Any]:
    sizes = _SIZES if rng.random() < 0.3 else _SIZES[:6]
    match kind:
        case _TYPE.INT:
            return {"i": rng.choice(sizes)}
        case _TYPE.INTS:
            return {"ints": [rng.choice(sizes) for _ in range(rng.randint(0, 6))]}
        case _TYPE.FLOAT:
            return {"f": rng.choice(_NUMBERS)}
        case _TYPE.FLOATS:
            return {"floats": [rng.choice(_NUMBERS) for _ in range(rng.randint(0, 4))]}
        case _TYPE.STRING:
            return {"s": rng.choice(_TEXTS)}
        case _TYPE.STRINGS:
            return {"strings": [rng.choice(_TEXTS) for _ in range(rng.randint(0, 3))]}
        case _TYPE.TENSOR:
            return {"t": hostile.ints("t", [rng.choice(_SIZES)])}
        case _TYPE.GRAPH:
            return {"g": hostile.graph([hostile.node("Relu", ["x0"], ["inner"])], outputs=["inner"])}
    return {}
