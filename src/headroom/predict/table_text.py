"""Answered rows as CSV text, many rows at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from headroom.errors import ModelError
from headroom.predict.gemm_problems import Floats
from headroom.predict.table_answer import Answers

#: What is added to every row, in this order. Tile columns that the table has already are filled in place.
OUTPUT_COLUMNS = (
    "time_us", "error_pct", "bottleneck", "l1_bytes", "l2_bytes", "dram_bytes", "ctas", "waves",
    "tail_utilization", "tile_m", "tile_n", "tile_k", "error",
)  # fmt: skip
TILE_COLUMNS = ("tile_m", "tile_n", "tile_k")

_WHOLE = ("ctas", "l1_bytes", "l2_bytes", "dram_bytes")

#: The largest number of bytes that an integer of 64 bits holds.
_LARGEST_INT = 9e18


def check_new(header: Sequence[str]) -> None:
    """Refuse a table that has an answer's column already, with a ``ModelError``; tiles may be given."""
    for name in header:
        if name in OUTPUT_COLUMNS and name not in TILE_COLUMNS:
            raise ModelError(f"the table has a column {name!r}, which the answer would overwrite: rename it")


def header_line(header: Sequence[str]) -> str:
    """The given columns, then those that are new."""
    return _quoted([[*header, *added_columns(header)]])


def added_columns(header: Sequence[str]) -> list[str]:
    return [name for name in OUTPUT_COLUMNS if name not in header]


def row_lines(header: Sequence[str], rows: Sequence[Sequence[str]], answers: Answers, errors: Sequence[str]) -> str:
    """Rows as they are written: every given cell in its place, then the answer."""
    if not rows:
        return ""
    width, added = len(header), added_columns(header)
    if set(map(len, rows)) != {width}:
        # A row with too many cells keeps them all in its last column, so that the new ones stay in line.
        rows = [
            [*row[: width - 1], ",".join(row[width - 1 :])] if len(row) > width else [*row, *[""] * (width - len(row))]
            for row in rows
        ]
    columns = {name: _texts(answers, errors, name) for name in OUTPUT_COLUMNS}
    rows = _with_tiles(header, rows, columns)
    new = [columns[name] for name in added]
    # Joined by commas where no cell needs quotes, which is many times as fast.
    text = "\n".join(map(",".join, zip(map(",".join, rows), *new, strict=True)))
    is_plain = text.count(",") == len(rows) * (width + len(added) - 1) and text.count("\n") == len(rows) - 1
    if is_plain and '"' not in text and "\r" not in text:
        return text + "\n"
    return _quoted([[*row, *answer] for row, *answer in zip(rows, *new, strict=True)])


def _with_tiles(
    header: Sequence[str], rows: Sequence[Sequence[str]], columns: Mapping[str, Sequence[str]]
) -> Sequence[Sequence[str]]:
    """The rows with the tile columns that the table has filled in where they are empty."""
    places = [(header.index(name), columns[name]) for name in TILE_COLUMNS if name in header]
    if not places:
        return rows
    filled = [list(row) for row in rows]
    for place, texts in places:
        for row, text in zip(filled, texts, strict=True):
            row[place] = row[place] if row[place].strip() else text
    return filled


def _quoted(rows: Sequence[Sequence[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def _texts(answers: Answers, errors: Sequence[str], name: str) -> Sequence[str]:
    """One answer column as text: six significant digits, whole numbers in full, empty for a bad row."""
    if name == "error":
        return errors
    values = getattr(answers, name)
    texts: list[str]
    if name == "bottleneck":
        texts = values.tolist()
    elif name in TILE_COLUMNS:
        texts = _repeating(values, lambda value: str(int(value)) if value else "")
    elif name in _WHOLE:
        texts = _whole(values)
    elif name in ("error_pct", "tail_utilization"):
        texts = _repeating(values, "%.6g".__mod__)
    else:
        texts = list(map("%.6g".__mod__, values.tolist()))
    if any(errors):
        texts = ["" if error else text for text, error in zip(texts, errors, strict=True)]
    return texts


def _repeating(values: Floats, text: Callable[[float], str]) -> list[str]:
    """A column in which few values repeat: each is put into words once."""
    numbers = values.tolist()
    words = {value: text(value) for value in set(numbers)}
    return list(map(words.__getitem__, numbers))


def _whole(values: Floats) -> list[str]:
    rounded = np.round(values)
    if len(values) and rounded.max() > _LARGEST_INT:
        return [str(int(value)) for value in rounded.tolist()]
    return list(map(str, rounded.astype(np.int64).tolist()))
