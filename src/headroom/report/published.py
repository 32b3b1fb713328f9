"""The published JSON schema, and reading answers that follow it.

The checker understands the words that our own schema uses (``type``, ``required``, ``properties``, ``items``,
``minItems``, ``maxItems``, ``enum``, ``const``, ``minimum``, ``maximum``, ``$ref``), so that the schema is the
one place that says what an answer holds, and reading one needs no further package.
"""

from __future__ import annotations

import json
import os
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from headroom.errors import ModelError
from headroom.report.answer import SCHEMA_VERSION
from headroom.text import plain_line

#: Largest answer that is read, in bytes: a thousand times a large one, small enough to hold in memory.
LARGEST_FILE_BYTES = 1 << 28

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


@cache
def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what ``headroom analyze --json`` writes."""
    text = resources.files("headroom.report").joinpath("schema", f"analysis-{SCHEMA_VERSION}.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def read_answers(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The answers in a file that ``headroom analyze --json`` wrote, each checked against the schema.

    Raises:
        ModelError: the file cannot be read, is no answer, lacks a field, or is of a newer schema.
    """
    document = _parse(Path(path))
    answers: list[Any] = document if isinstance(document, list) else [document]
    if not answers:
        raise ModelError(f"{path} holds an empty list; write it again with `headroom analyze --json`")
    for position, answer in enumerate(answers):
        where = f"[{position}]" if isinstance(document, list) else ""
        _check_version(path, answer, where)
        complaint = _complaint(answer, schema()["$defs"]["answer"], where)
        if complaint:
            raise ModelError(f"{path}: {plain_line(complaint)}; write it again with `headroom analyze --json`")
    return answers


def _parse(path: Path) -> object:
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise ModelError(f"{path} is larger than {LARGEST_FILE_BYTES >> 20} MiB; it is no answer of Headroom")
        document: object = json.loads(path.read_text("utf-8"), parse_constant=_no_constant)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}; check the path") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON ({error}); expected what `headroom analyze --json` writes") from error
    return document


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _check_version(path: str | os.PathLike[str], answer: object, where: str) -> None:
    version = answer.get("schema_version") if isinstance(answer, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ModelError(
            f"{path}: {where and where + '.'}schema_version is {version}, and this Headroom reads up to "
            f"{SCHEMA_VERSION}; update Headroom, or write the file again with this version"
        )


def _complaint(value: object, rule: dict[str, Any], where: str) -> str | None:
    """The first way in which ``value`` breaks ``rule``, as the middle of a sentence; ``None`` if it does not."""
    if "$ref" in rule:
        rule = schema()["$defs"][rule["$ref"].rsplit("/", 1)[-1]]
    name = where or "the answer"
    if "const" in rule and value != rule["const"]:
        return f"{name} is {_shown(value)}, expected {rule['const']}"
    if "type" in rule and not _is_any(value, rule["type"]):
        return f"{name} is {_shown(value)}, expected {_joined(rule['type'])}"
    if "enum" in rule and value not in rule["enum"]:
        return f"{name} is {_shown(value)}, expected one of {', '.join(rule['enum'])}"
    if _is_any(value, "number") and not rule.get("minimum", value) <= value <= rule.get("maximum", value):
        return f"{name} is {value}, outside the range that the schema allows"
    return _inside(value, rule, where)


def _inside(value: object, rule: dict[str, Any], where: str) -> str | None:
    if isinstance(value, dict):
        for key in rule.get("required", ()):
            if key not in value:
                return f"field {where and where + '.'}{key} is missing"
        other = rule.get("additionalProperties", {})
        for key, item in value.items():
            found = _complaint(item, rule.get("properties", {}).get(key, other), f"{where and where + '.'}{key}")
            if found:
                return found
    elif isinstance(value, list) and "items" in rule:
        if not rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value)):
            return f"{where} has {len(value)} entries, expected {rule.get('minItems', 0)}"
        for position, item in enumerate(value):
            found = _complaint(item, rule["items"], f"{where}[{position}]")
            if found:
                return found
    return None


def _is_any(value: object, types: str | list[str]) -> bool:
    names = [types] if isinstance(types, str) else types
    if isinstance(value, bool):
        return "boolean" in names
    if isinstance(value, float) and value.is_integer() and "integer" in names:
        return True  # 1.0 is an integer to JSON schema
    return any(isinstance(value, _TYPES[name]) for name in names)


def _joined(types: str | list[str]) -> str:
    return types if isinstance(types, str) else " or ".join(types)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= 40 else text[:39] + "…"
