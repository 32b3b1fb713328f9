"""The published JSON schemas, as they lie in the package."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any


@cache
def read_schema(name: str, version: int) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of one answer."""
    text = resources.files("headroom.report").joinpath("schema", f"{name}-{version}.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
