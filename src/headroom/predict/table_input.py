"""Reading a table of layers: CSV text to checked columns.

Every distinct cell text of a column is checked once, so a table of 100,000 rows costs little more than its
parsing. A bad cell spoils its row only: the row keeps a sentence that says what was found and what to give.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headroom.errors import ModelError
from headroom.graph.tensor import DataType
from headroom.predict.gemm_time import Floats

#: The largest dimension that a layer may have.
_LARGEST = 2**31 - 1

#: More multiply-adds than this in one layer are taken for a slip: a year on the fastest GPU.
MOST_MACS = 1e22

#: Largest table that is read, in bytes: millions of rows, and an end to files that have none.
LARGEST_TABLE_BYTES = 1 << 28

OPERATIONS = ("conv2d", "matmul")
DIRECTIONS = ("forward", "dgrad", "wgrad")
TABLE_LAYOUTS = ("nchw", "nhwc")

#: What a convolution is answered for: the im2col kernel, or the fastest kernel of a tuned library.
TABLE_ALGORITHMS = ("im2col", "fastest")

#: Columns with the number that an absent or empty cell stands for; None where the operation needs a value.
_SIZES: dict[str, int | None] = {
    "n": None, "c": None, "h": None, "w": None, "k": None, "r": None, "s": None, "m": None,
    "groups": 1, "batch": 1, "tile_m": 0, "tile_n": 0, "tile_k": 0,
}  # fmt: skip
_PAIRS: dict[str, int] = {"stride": 1, "padding": 0, "dilation": 1}
#: Textual columns: their choices, and what an empty cell means (``any``: the order that runs fastest).
_WORDS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "op": (OPERATIONS, None),
    "direction": (DIRECTIONS, "forward"),
    "dtype": (tuple(DataType), "fp32"),
    "layout": (TABLE_LAYOUTS, "any"),
    "algorithm": (TABLE_ALGORITHMS, "im2col"),
}
INPUT_COLUMNS = ("op", "direction", *_SIZES, *_PAIRS, "dtype", "layout", "algorithm")

#: What each operation cannot do without.
_NEEDED = {"conv2d": ("n", "c", "h", "w", "k", "r", "s"), "matmul": ("m", "n", "k")}


@dataclass
class LayerRows:
    """Checked columns of a table, one entry per row; ``errors[i]`` is empty for a good row.

    ``m``, ``n`` and ``k`` of a matrix product are those of the product that its ``direction`` runs: of ``C = A B``,
    ``dgrad`` is ``dA = dC B^T`` and ``wgrad`` is ``dB = A^T dC``.

    ``sizes`` holds every numeric column by name (``stride_h`` and ``stride_w`` for a pair), 0 where a row is bad
    or a tile is not given; ``words`` the textual ones.
    """

    errors: list[str]
    sizes: dict[str, Floats] = field(default_factory=dict)
    words: dict[str, NDArray[np.str_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.errors)


def read_cells(source: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a CSV file (UTF-8, with or without a byte-order mark).

    Raises:
        ModelError: the file cannot be read, is no UTF-8 text, has no header, or names a column twice.
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
    try:
        lines = [row for row in csv.reader(io.StringIO(text, newline=""), strict=False) if row]
    except csv.Error as error:
        raise ModelError(f"{source} is not a CSV table: {error}; check its quotes and line ends") from error
    if not lines:
        raise ModelError(f"{source} is empty: give a header line with at least the column op, then one layer per row")
    header = [name.strip() for name in lines[0]]
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise ModelError(f"{source} does not separate its columns by commas: save it as comma-separated values")
    check_header(header, str(source))
    return header, lines[1:]


def check_header(header: Sequence[str], source: str) -> None:
    """Refuse a header that names a column twice or lacks ``op``.

    Raises:
        ModelError: with the column's name.
    """
    seen: set[str] = set()
    for name in header:
        if name in seen:
            raise ModelError(f"{source} has the column {name!r} twice: rename or remove one")
        seen.add(name)
    if "op" not in seen:
        raise ModelError(f"{source} has no column op: add one that says conv2d or matmul in every row")


def parse_rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> LayerRows:
    """Check every cell and give the columns as arrays."""
    parsed = LayerRows([""] * len(rows))
    width = len(header)
    for index, row in enumerate(rows):
        if len(row) > width:
            parsed.errors[index] = f"the row has {len(row)} cells where the header has {width}: check its commas"
    place = {name: index for index, name in enumerate(header)}
    cells = {
        name: [row[place[name]].strip() if place[name] < len(row) else "" for row in rows]
        for name in INPUT_COLUMNS
        if name in place
    }
    absent = [""] * len(rows)
    for name, (choices, default) in _WORDS.items():
        parsed.words[name] = _words(name, cells.get(name, absent), choices, default, parsed.errors)
    for name in _SIZES:
        least = 0 if name.startswith("tile") else 1
        parsed.sizes[name] = _numbers(cells.get(name, absent), _size_reader(name, least), parsed.errors)[0]
    for name in _PAIRS:
        values = _numbers(cells.get(name, absent), _pair_reader(name), parsed.errors)
        parsed.sizes[f"{name}_h"], parsed.sizes[f"{name}_w"] = values
    _check_needed(parsed)
    _turn_products(parsed)
    return parsed


def _turn_products(parsed: LayerRows) -> None:
    """The gradients of a product are products too, with the sizes in other places."""
    size, direction = parsed.sizes, parsed.words["direction"]
    product = parsed.words["op"] == "matmul"
    m, n, k = (size[name].copy() for name in ("m", "n", "k"))
    data, weight = product & (direction == "dgrad"), product & (direction == "wgrad")
    size["n"] = np.where(data, k, n)
    size["m"] = np.where(weight, k, m)
    size["k"] = np.where(data, n, np.where(weight, m, k))


def _words(
    name: str, cells: Sequence[str], choices: tuple[str, ...], default: str | None, errors: list[str]
) -> NDArray[np.str_]:
    known = {choice: choice for choice in choices}
    known[""] = default or ""
    out = []
    for index, cell in enumerate(cells):
        word = known.get(cell) or known.get(cell.lower(), "")
        if not word:
            _blame(errors, index, f"{name} is {_quote(cell)}: give {_or(choices)}")
        out.append(word)
    return np.array(out, dtype=np.str_)


#: What a cell says: the two numbers (equal where the column has one), or a sentence about what is wrong.
_Cell = tuple[float, float, str]


def _numbers(cells: Sequence[str], read: Callable[[str], _Cell], errors: list[str]) -> tuple[Floats, Floats]:
    cache: dict[str, _Cell] = {}
    first, second = np.zeros(len(cells)), np.zeros(len(cells))
    found = []
    for cell in cells:
        value = cache.get(cell)
        if value is None:
            value = cache[cell] = read(cell)
        found.append(value)
    for index, value in enumerate(found):
        if value[2]:
            _blame(errors, index, value[2])
    if found:
        first[:] = [value[0] for value in found]
        second[:] = [value[1] for value in found]
    return first, second


def _size_reader(name: str, least: int) -> Callable[[str], _Cell]:
    default = _SIZES[name]

    def read(cell: str) -> _Cell:
        if not cell:
            return float(default or 0), 0.0, ""
        value = _integer(cell)
        if value is None or not least <= value <= _LARGEST:
            return 0.0, 0.0, f"{name} is {_quote(cell)}: give an integer from {least} to {_LARGEST}"
        return float(value), float(value), ""

    return read


def _pair_reader(name: str) -> Callable[[str], _Cell]:
    default = _PAIRS[name]

    def read(cell: str) -> _Cell:
        parts = cell.lower().split("x") if cell else [str(default)]
        values = [_integer(part) for part in parts]
        if len(values) > 2 or any(v is None or not default <= v <= _LARGEST for v in values):
            return 0.0, 0.0, f"{name} is {_quote(cell)}: give an integer from {default}, or two as HxW"
        numbers = [float(v) for v in values if v is not None]
        return numbers[0], numbers[-1], ""

    return read


def _integer(cell: str) -> int | None:
    """A whole number as people and spreadsheets write it (``64``, ``64.0``); ``None`` for anything else."""
    text = cell.strip()
    if text.endswith(".0"):
        text = text[:-2]
    digits = text[1:] if text[:1] in "+-" else text
    if not digits or len(digits) > 12 or not (digits.isascii() and digits.isdigit()):
        return None
    return int(text)


def _check_needed(parsed: LayerRows) -> None:
    """Values that an operation needs, and values that contradict each other."""
    size, op = parsed.sizes, parsed.words["op"]
    for operation, names in _NEEDED.items():
        for name in names:
            for index in np.flatnonzero((op == operation) & (size[name] == 0)):
                _blame(parsed.errors, int(index), f"{name} is empty: {operation} needs it")
    convolution = op == "conv2d"
    groups = np.maximum(size["groups"], 1)
    for name in ("c", "k"):
        for index in np.flatnonzero(convolution & (size[name] % groups != 0)):
            _blame(
                parsed.errors,
                int(index),
                f"groups is {int(groups[index])}, which does not divide {name} of {int(size[name][index])}",
            )
    size["p"] = _output(size, "h", "r")
    size["q"] = _output(size, "w", "s")
    for index in np.flatnonzero(convolution & ((size["p"] < 1) | (size["q"] < 1))):
        i = int(index)
        taps = f"{int(size['r'][i])}x{int(size['s'][i])}"
        _blame(parsed.errors, i, f"a {taps} filter does not fit h and w with this padding and dilation")
    for index in np.flatnonzero(_macs(size, convolution) > MOST_MACS):
        _blame(parsed.errors, int(index), f"the layer has more than {MOST_MACS:g} multiply-adds: check its sizes")
    given = (size["tile_m"] > 0).astype(int) + (size["tile_n"] > 0)
    for index in np.flatnonzero((given == 1) | ((given == 0) & (size["tile_k"] > 0))):
        _blame(parsed.errors, int(index), "tile_m and tile_n go together: give both or neither")


def _output(size: dict[str, Floats], image: str, taps: str) -> Floats:
    axis = "h" if image == "h" else "w"
    reach = size[f"dilation_{axis}"] * (size[taps] - 1) + 1
    stride = np.maximum(size[f"stride_{axis}"], 1)
    return np.floor((size[image] + 2 * size[f"padding_{axis}"] - reach) / stride) + 1


def _macs(size: dict[str, Floats], convolution: NDArray[np.bool_]) -> Floats:
    positions = size["n"] * np.maximum(size["p"], 0) * np.maximum(size["q"], 0)
    direct = positions * size["k"] * size["c"] * size["r"] * size["s"] / np.maximum(size["groups"], 1)
    return np.where(convolution, direct, size["batch"] * size["m"] * size["n"] * size["k"])


def _blame(errors: list[str], index: int, sentence: str) -> None:
    """Keep the first complaint of a row: later ones often follow from it."""
    errors[index] = errors[index] or sentence


def _quote(cell: str) -> str:
    """A stranger's cell, short and on one line."""
    shown = "".join(ch if ch.isprintable() else "?" for ch in cell[:40])
    return f"{shown!r}{'…' if len(cell) > 40 else ''}" if cell else "empty"


def _or(choices: Sequence[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"
