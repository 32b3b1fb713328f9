"""A table of layers: cells or arrays to checked columns (:mod:`.table_cells` reads each of them).

Every distinct cell text of a column is checked once, so a table of 100,000 rows costs little more than its
parsing. A bad cell spoils its row only: the row keeps a sentence that says what was found and what to give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headroom.graph.tensor import DataType
from headroom.predict.gemm_problems import Floats
from headroom.predict.table_cells import (
    Cell,
    as_cells,
    blame,
    pair_reader,
    read_array,
    read_numbers,
    read_words,
    size_reader,
)

#: More multiply-adds than this in one layer are taken for a slip: a year on the fastest GPU.
MOST_MACS = 1e22

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

#: What an operation does not have, and the column that says it: passed over, the row would be answered for less work.
_FOREIGN = {"conv2d": ("batch", "n"), "matmul": ("groups", "batch")}


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


def parse_rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> LayerRows:
    """Check every cell and give the columns as arrays."""
    errors = [""] * len(rows)
    columns = _columns(header, rows, errors)

    def numbers(name: str, read: Callable[[str], Cell], least: int) -> tuple[Floats, Floats]:
        return read_numbers(columns.get(name), read, errors)

    return _parsed(errors, columns.get, numbers)


def parse_arrays(columns: Mapping[str, NDArray[np.generic]], count: int) -> LayerRows:
    """The same from arrays of ``count`` numbers or texts, or of one that stands for all rows."""
    errors = [""] * count

    def numbers(name: str, read: Callable[[str], Cell], least: int) -> tuple[Floats, Floats]:
        return read_array(columns.get(name), count, read, least, errors)

    return _parsed(errors, lambda name: as_cells(columns.get(name), count), numbers)


def _parsed(
    errors: list[str],
    cells_of: Callable[[str], Sequence[str] | None],
    numbers_of: Callable[[str, Callable[[str], Cell], int], tuple[Floats, Floats]],
) -> LayerRows:
    """Columns from their cells: texts by ``cells_of`` a column, numbers by ``numbers_of`` it, how one is read, and the
    least that it may be.
    """
    parsed = LayerRows(errors)
    for name, (choices, default) in _WORDS.items():
        parsed.words[name] = read_words(name, cells_of(name), choices, default, errors)
    for name, empty in _SIZES.items():
        least = 0 if name.startswith("tile") else 1
        parsed.sizes[name] = numbers_of(name, size_reader(name, least, empty), least)[0]
    for name, least in _PAIRS.items():
        parsed.sizes[f"{name}_h"], parsed.sizes[f"{name}_w"] = numbers_of(name, pair_reader(name, least), least)
    _check_needed(parsed)
    _turn_products(parsed)
    return parsed


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]], errors: list[str]) -> dict[str, Sequence[str]]:
    """The cells of every column that counts; a short row ends in empty cells, a long one is blamed."""
    width = len(header)
    if rows and set(map(len, rows)) != {width}:
        for index, row in enumerate(rows):
            if len(row) > width:
                errors[index] = f"the row has {len(row)} cells where the header has {width}: check its commas"
        rows = [(*row[:width], *[""] * (width - len(row))) for row in rows]
    columns = zip(*rows, strict=True) if rows else [()] * width
    return {name: column for name, column in zip(header, columns, strict=True) if name in INPUT_COLUMNS}


def _turn_products(parsed: LayerRows) -> None:
    """The gradients of a product are products too, with the sizes in other places."""
    size, direction = parsed.sizes, parsed.words["direction"]
    product = parsed.words["op"] == "matmul"
    m, n, k = (size[name].copy() for name in ("m", "n", "k"))
    data, weight = product & (direction == "dgrad"), product & (direction == "wgrad")
    size["n"] = np.where(data, k, n)
    size["m"] = np.where(weight, k, m)
    size["k"] = np.where(data, n, np.where(weight, m, k))


def _check_needed(parsed: LayerRows) -> None:
    """Values that an operation needs, and values that contradict each other."""
    size, op = parsed.sizes, parsed.words["op"]
    for operation, names in _NEEDED.items():
        for name in names:
            for index in np.flatnonzero((op == operation) & (size[name] == 0)):
                blame(parsed.errors, int(index), f"{name} is empty: {operation} needs it")
    for operation, (name, right) in _FOREIGN.items():
        for index in np.flatnonzero((op == operation) & (size[name] > 1)):
            value = int(size[name][index])
            blame(parsed.errors, int(index), f"{name} is {value}, but {operation} has none: say it with {right}")
    convolution = op == "conv2d"
    groups = np.maximum(size["groups"], 1)
    for name in ("c", "k"):
        for index in np.flatnonzero(convolution & (size[name] % groups != 0)):
            blame(
                parsed.errors,
                int(index),
                f"groups is {int(groups[index])}, which does not divide {name} of {int(size[name][index])}",
            )
    size["p"] = _output(size, "h", "r")
    size["q"] = _output(size, "w", "s")
    for index in np.flatnonzero(convolution & ((size["p"] < 1) | (size["q"] < 1))):
        i = int(index)
        taps = f"{int(size['r'][i])}x{int(size['s'][i])}"
        blame(parsed.errors, i, f"a {taps} filter does not fit h and w with this padding and dilation")
    for index in np.flatnonzero(_macs(size, convolution) > MOST_MACS):
        blame(parsed.errors, int(index), f"the layer has more than {MOST_MACS:g} multiply-adds: check its sizes")
    given = (size["tile_m"] > 0).astype(int) + (size["tile_n"] > 0)
    for index in np.flatnonzero((given == 1) | ((given == 0) & (size["tile_k"] > 0))):
        blame(parsed.errors, int(index), "tile_m and tile_n go together: give both or neither")


def _output(size: dict[str, Floats], image: str, taps: str) -> Floats:
    axis = "h" if image == "h" else "w"
    reach = size[f"dilation_{axis}"] * (size[taps] - 1) + 1
    stride = np.maximum(size[f"stride_{axis}"], 1)
    return np.floor((size[image] + 2 * size[f"padding_{axis}"] - reach) / stride) + 1


def _macs(size: dict[str, Floats], convolution: NDArray[np.bool_]) -> Floats:
    positions = size["n"] * np.maximum(size["p"], 0) * np.maximum(size["q"], 0)
    direct = positions * size["k"] * size["c"] * size["r"] * size["s"] / np.maximum(size["groups"], 1)
    return np.where(convolution, direct, size["batch"] * size["m"] * size["n"] * size["k"])
