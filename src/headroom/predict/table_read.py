"""Reading a table of layers: the bytes of a CSV file to its header and rows, as they are asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from headroom.errors import ModelError
from headroom.predict.table_input import INPUT_COLUMNS

#: Largest table that is read, in bytes: millions of rows, and an end to files that have none.
LARGEST_TABLE_BYTES = 1 << 28


def read_cells(source: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a CSV file (UTF-8, with or without a byte-order mark).

    Raises:
        ModelError: the file cannot be read, is no UTF-8 text, has no header, or names a column twice.
    """
    header, rows = open_cells(read_text(source), str(source))
    return header, list(rows)


def read_text(source: Path) -> str:
    """The text of a table.

    Raises:
        ModelError: the file cannot be read, is too large, or is no UTF-8 text.
    """
    try:
        with source.open("rb") as file:
            content = file.read(LARGEST_TABLE_BYTES + 1)
        text = content.decode("utf-8-sig") if len(content) <= LARGEST_TABLE_BYTES else ""
    except OSError as error:
        raise ModelError(f"cannot read {source}: {error.strerror or error}; name a CSV file") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{source} is not UTF-8 text (byte {error.start}): save the table as UTF-8 CSV") from error
    if len(content) > LARGEST_TABLE_BYTES:
        raise ModelError(f"{source} is larger than {LARGEST_TABLE_BYTES >> 20} MiB: split the table")
    return text


def open_cells(text: str, source: str) -> tuple[list[str], Iterator[list[str]]]:
    """The header, checked, and the rows as they are asked for; empty lines are none.

    Raises:
        ModelError: there is no header, it names a column twice, or (while rows are asked for) the text is no CSV.
    """
    rows = _rows(io.StringIO(text, newline=""), source)
    first = next(rows, None)
    if first is None:
        raise ModelError(f"{source} is empty: give a header line with at least the column op, then one layer per row")
    header = [name.strip() for name in first]
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise ModelError(f"{source} does not separate its columns by commas: save it as comma-separated values")
    check_header(header, source)
    return header, rows


def _rows(lines: Iterable[str], source: str) -> Iterator[list[str]]:
    """Strictly: a quote that nothing closes would take all further rows for one cell."""
    try:
        yield from filter(None, csv.reader(lines, strict=True))
    except csv.Error as error:
        raise ModelError(f"{source} is not a CSV table: {error}; check its quotes and line ends") from error


def check_header(header: Sequence[str], source: str) -> None:
    """Refuse a header that names a column twice, lacks ``op``, or has a column in capitals that counts in small letters
    only: it would be passed through, and the row answered for something else.

    Raises:
        ModelError: with the column's name.
    """
    seen: set[str] = set()
    for name in header:
        if name in seen:
            raise ModelError(f"{source} has the column {name!r} twice: rename or remove one")
        seen.add(name)
    for name in seen - set(INPUT_COLUMNS):
        if name.lower() in INPUT_COLUMNS and name.lower() not in seen:
            raise ModelError(f"{source} has a column {name!r}: write it {name.lower()!r}, or rename it")
    if "op" not in seen:
        raise ModelError(f"{source} has no column op: add one that says conv2d or matmul in every row")
