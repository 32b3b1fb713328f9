"""A table of layers: cells or arrays to checked columns.

Every distinct cell text of a column is checked once, so a table of 100,000 rows costs little more than its
parsing. A bad cell spoils its row only: the row keeps a sentence that says what was found and what to give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headroom.graph.tensor import DataType
from headroom.predict.gemm_time import Floats

#: The largest dimension that a layer may have.
_LARGEST = 2**31 - 1

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
    parsed = LayerRows([""] * len(rows))
    columns = _columns(header, rows, parsed.errors)
    for name, (choices, default) in _WORDS.items():
        parsed.words[name] = _words(name, columns.get(name), choices, default, parsed.errors)
    for name in _SIZES:
        least = 0 if name.startswith("tile") else 1
        parsed.sizes[name] = _numbers(columns.get(name), _size_reader(name, least), parsed.errors)[0]
    for name in _PAIRS:
        values = _numbers(columns.get(name), _pair_reader(name), parsed.errors)
        parsed.sizes[f"{name}_h"], parsed.sizes[f"{name}_w"] = values
    _check_needed(parsed)
    _turn_products(parsed)
    return parsed


def parse_arrays(columns: Mapping[str, NDArray[np.generic]], count: int) -> LayerRows:
    """The same from arrays of ``count`` numbers or texts, or of one that stands for all rows."""
    parsed = LayerRows([""] * count)
    for name, (choices, default) in _WORDS.items():
        cells = _cells(columns.get(name), count)
        parsed.words[name] = _words(name, cells, choices, default, parsed.errors)
    for name in _SIZES:
        least = 0 if name.startswith("tile") else 1
        parsed.sizes[name] = _array(columns.get(name), count, _size_reader(name, least), least, parsed.errors)[0]
    for name, least in _PAIRS.items():
        values = _array(columns.get(name), count, _pair_reader(name), least, parsed.errors)
        parsed.sizes[f"{name}_h"], parsed.sizes[f"{name}_w"] = values
    _check_needed(parsed)
    _turn_products(parsed)
    return parsed


def _array(
    values: NDArray[np.generic] | None, count: int, read: Callable[[str], _Cell], least: int, errors: list[str]
) -> tuple[Floats, Floats]:
    """Numbers that are right as they stand; anything else is read as text, and blamed as text is."""
    if values is not None and values.dtype.kind in "iuf":
        numbers = values.astype(np.float64)
        if bool(((numbers >= least) & (numbers <= _LARGEST) & (numbers == np.floor(numbers))).all()):
            whole = np.broadcast_to(numbers, (count,)) + 0.0
            return whole, whole
    return _numbers(_cells(values, count), read, errors)


def _cells(values: NDArray[np.generic] | None, count: int) -> Sequence[str] | None:
    """Values as a table would spell them."""
    if values is None:
        return None
    texts = [str(value) for value in values.tolist()]
    return texts * count if len(texts) == 1 else texts


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


def _words(
    name: str, cells: Sequence[str] | None, choices: tuple[str, ...], default: str | None, errors: list[str]
) -> NDArray[np.str_]:
    known = {choice: choice for choice in choices}
    known[""] = default or ""
    # A column that is not there is one empty cell for all rows.
    found = {cell: known.get(cell.strip()) or known.get(cell.strip().lower(), "") for cell in set(cells or ("",))}
    bad = {cell: f"{name} is {_quote(cell.strip())}: give {_or(choices)}" for cell, word in found.items() if not word}
    _blame_cells(cells, bad, errors)
    names = np.array(list(dict.fromkeys(found.values())), dtype=np.str_)
    if cells is None:
        return np.full(len(errors), names[0])
    place = {str(word): index for index, word in enumerate(names)}
    codes = {cell: place[word] for cell, word in found.items()}
    if not cells:
        return np.zeros(0, dtype=np.str_)
    return names[np.fromiter(map(codes.__getitem__, cells), dtype=np.intp, count=len(cells))]


#: What a cell says: the two numbers (equal where the column has one), or a sentence about what is wrong.
_Cell = tuple[float, float, str]


def _numbers(cells: Sequence[str] | None, read: Callable[[str], _Cell], errors: list[str]) -> tuple[Floats, Floats]:
    """The numbers of a column; every distinct text is read once."""
    found = {cell: read(cell.strip()) for cell in set(cells or ("",))}
    _blame_cells(cells, {cell: sentence for cell, (_, _, sentence) in found.items() if sentence}, errors)
    if cells is None:
        first, second, _ = found[""]
        return np.full(len(errors), first), np.full(len(errors), second)
    one = _looked_up({cell: value[0] for cell, value in found.items()}, cells)
    if all(first == second for first, second, _ in found.values()):
        return one, one.copy()
    return one, _looked_up({cell: value[1] for cell, value in found.items()}, cells)


def _looked_up(numbers: Mapping[str, float], cells: Sequence[str]) -> Floats:
    return np.fromiter(map(numbers.__getitem__, cells), dtype=np.float64, count=len(cells))


def _blame_cells(cells: Sequence[str] | None, bad: dict[str, str], errors: list[str]) -> None:
    """Blame every row whose cell is bad; ``None`` is a column that is not there."""
    if not bad:
        return
    for index in range(len(errors)):
        cell = "" if cells is None else cells[index]
        if cell in bad:
            _blame(errors, index, bad[cell])


def _size_reader(name: str, least: int) -> Callable[[str], _Cell]:
    default = _SIZES[name]

    def read(cell: str) -> _Cell:
        if not cell:
            return float(default or 0), float(default or 0), ""
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
    for operation, (name, right) in _FOREIGN.items():
        for index in np.flatnonzero((op == operation) & (size[name] > 1)):
            value = int(size[name][index])
            _blame(parsed.errors, int(index), f"{name} is {value}, but {operation} has none: say it with {right}")
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
