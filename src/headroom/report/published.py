"""The published JSON schema, and reading answers that follow it."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from headroom.errors import ModelError
from headroom.report.answer import SCHEMA_VERSION
from headroom.report.schemas import read_schema
from headroom.text import plain_line

#: Largest answer that is read, in bytes: a thousand times a large one, small enough to hold in memory.
LARGEST_FILE_BYTES = 1 << 28


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what ``headroom analyze --json`` writes."""
    return read_schema("analysis", SCHEMA_VERSION)


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
        complaint = _complaint(answer, where)
        if complaint:
            raise ModelError(f"{path}: {plain_line(complaint)}; write it again with `headroom analyze --json`")
    return answers


def _parse(path: Path) -> object:
    try:
        with path.open("rb") as file:
            # A device has no size to ask for, and no end.
            content = file.read(LARGEST_FILE_BYTES + 1)
        if len(content) > LARGEST_FILE_BYTES:
            raise ModelError(f"{path} is larger than {LARGEST_FILE_BYTES >> 20} MiB; it is no answer of Headroom")
        document: object = json.loads(content.decode("utf-8"), parse_constant=_no_constant)
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


def _complaint(answer: object, where: str) -> str | None:
    """The deepest way in which ``answer`` breaks the schema, as the middle of a sentence; ``None`` if it does not."""
    found = best_match(_validator().iter_errors(answer))
    if found is None:
        return None
    place = where + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in found.absolute_path)
    name = plain_line(place.removeprefix(".")) or "the answer"
    if found.validator == "required":
        missing = next(key for key in found.validator_value if key not in found.instance)
        return f"field {f'{name}.{missing}' if place else missing} is missing"
    if found.validator in ("type", "enum"):
        wanted = found.validator_value
        several = " or ".join(wanted) if found.validator == "type" else f"one of {', '.join(wanted)}"
        return f"{name} is {_shown(found.instance)}, expected {wanted if isinstance(wanted, str) else several}"
    return f"{name} is {_shown(found.instance)}, outside the range that the schema allows"


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator({"$ref": "#/$defs/answer", "$defs": schema()["$defs"]})


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= 40 else text[:39] + "…"
