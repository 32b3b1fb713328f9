"""Reading one sheet file: TOML in, checked entries out; nothing about a GPU is decided here.

A number is written ``sms = { value = 132, source = "..." }``, or plainly ``sms = 132`` in a user's own file, whose
source is then "user". Rates stand in tables: ``[tensor_tflops]`` with ``bf16 = …``. Texts are plain TOML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from headroom.gpu import schema
from headroom.gpu.schema import Entry
from headroom.gpu.toml_file import parse_toml, read_toml_text
from headroom.text import plain_line

_RATE_TABLES = ("plain_tflops", "tensor_tflops")


@dataclass(frozen=True, slots=True)
class SheetFile:
    """A sheet as written: numbers by field name, texts, lists of texts, before bases and rules."""

    where: str
    entries: Mapping[str, Entry]
    texts: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]


def read_sheet_file(path: Path) -> SheetFile:
    """Read a user's sheet.

    Raises:
        UsageError: the file cannot be read, is no sheet (too large, not UTF-8, not TOML), names an unknown field,
            or holds a value that cannot be; the sentence names the field.
    """
    where = f"gpu sheet {plain_line(str(path))}"
    return parse_sheet(read_toml_text(path, where, "a TOML sheet or the id of a bundled GPU"), where)


def parse_sheet(text: str, where: str) -> SheetFile:
    """Parse and check the text of a sheet; ``where`` opens every error sentence."""
    raw = parse_toml(text, where)
    entries: dict[str, Entry] = {}
    texts: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for name, value in _flat(where, raw):
        if name in schema.TEXTS:
            texts[name] = schema.check_text(where, name, value)
        elif name in schema.LISTS:
            lists[name] = _check_list(where, name, value)
        elif name in schema.FIELDS:
            entries[name] = _check_entry(where, name, value)
        else:
            raise schema.unknown_field(where, name)
    return SheetFile(where, entries, texts, lists)


def _flat(where: str, raw: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """The fields of a sheet with the rate tables opened up: ``tensor_tflops.bf16``."""
    for name, value in raw.items():
        if name not in _RATE_TABLES:
            yield name, value
        elif isinstance(value, dict):
            yield from ((f"{name}.{dtype}", rate) for dtype, rate in value.items())
        else:
            raise schema.bad_value(where, name, value, "a table of rates per data type")


def _check_entry(where: str, name: str, value: object) -> Entry:
    field = schema.FIELDS[name]
    if not isinstance(value, dict):
        return Entry(schema.check_number(where, field, value), "user")
    if "value" not in value or not value.keys() <= {"value", "source"}:
        raise schema.bad_value(where, name, value, "a number, or a table with value and source alone")
    number = schema.check_number(where, field, value["value"])
    return Entry(number, schema.check_text(where, f"{name}.source", value.get("source", "user")))


def _check_list(where: str, name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise schema.bad_value(where, name, value, "a list of texts")
    return tuple(schema.check_text(where, name, item) for item in value)
