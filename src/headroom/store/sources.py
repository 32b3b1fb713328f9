"""What ``headroom db import`` reads: an export of ours, what a benchmark that travels printed, or somebody's published
tables by the name of the system."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from headroom.errors import StoreError, UsageError
from headroom.store.benanza.source import BenanzaSource
from headroom.store.imported import JsonSource
from headroom.store.merge import Source
from headroom.store.travelled import TravelledSource, is_travelled

#: Published databases by the word that stands before their files.
_PUBLISHED: Mapping[str, Callable[[Sequence[Path]], Source]] = {"benanza": BenanzaSource}


def source_of(words: Sequence[Path]) -> Source:
    """The source that a user's words name: one export, or a published database's name and its files.

    Raises:
        UsageError: a published database without files, or several files without one.
        StoreError: the file cannot be read or does not fit.
        ModelError: the tables cannot be read or do not fit.
    """
    name, files = str(words[0]), words[1:]
    if name in _PUBLISHED and files:
        return _PUBLISHED[name](files)
    if files:
        raise UsageError(
            f"{len(words)} files to import: name one export, or put one of {', '.join(_PUBLISHED)} before the tables"
        )
    if name in _PUBLISHED and not words[0].exists():
        raise UsageError(f"no tables after '{name}': name its files or their folder, as in headroom db import {name} .")
    if _is_packed(words[0]):
        raise StoreError(f"{words[0]} is compressed: unpack it first, as with gunzip")
    return TravelledSource(words[0]) if is_travelled(words[0]) else JsonSource(words[0])


def _is_packed(file: Path) -> bool:
    """Whether ``file`` begins as gzip, zip, xz or zstandard do."""
    try:
        with file.open("rb") as opened:
            return opened.read(4).startswith((b"\x1f\x8b", b"PK\x03\x04", b"\xfd7zX", b"\x28\xb5\x2f\xfd"))
    except OSError:
        return False  # whoever reads it says why it cannot be read
