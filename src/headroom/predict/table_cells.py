"""Cells of a table, or arrays in their place: every distinct text is read once, and blamed in every row that has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from headroom.predict.gemm_problems import Floats

#: The largest dimension that a layer may have.
_LARGEST = 2**31 - 1

#: What a cell says: the two numbers (equal where the column has one), or a sentence about what is wrong.
Cell = tuple[float, float, str]


def read_array(
    values: NDArray[np.generic] | None, count: int, read: Callable[[str], Cell], least: int, errors: list[str]
) -> tuple[Floats, Floats]:
    """Numbers that are right as they stand; anything else is read as text, and blamed as text is."""
    if values is not None and values.dtype.kind in "iuf":
        numbers = values.astype(np.float64)
        if bool(((numbers >= least) & (numbers <= _LARGEST) & (numbers == np.floor(numbers))).all()):
            whole = np.broadcast_to(numbers, (count,)) + 0.0
            return whole, whole
    return read_numbers(as_cells(values, count), read, errors)


def as_cells(values: NDArray[np.generic] | None, count: int) -> Sequence[str] | None:
    """Values as a table would spell them."""
    if values is None:
        return None
    texts = [str(value) for value in values.tolist()]
    return texts * count if len(texts) == 1 else texts


def read_words(
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


def read_numbers(cells: Sequence[str] | None, read: Callable[[str], Cell], errors: list[str]) -> tuple[Floats, Floats]:
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
            blame(errors, index, bad[cell])


def size_reader(name: str, least: int, default: int | None) -> Callable[[str], Cell]:
    """Reads one whole number from ``least`` on; an empty cell stands for ``default``."""

    def read(cell: str) -> Cell:
        if not cell:
            return float(default or 0), float(default or 0), ""
        value = _integer(cell)
        if value is None or not least <= value <= _LARGEST:
            return 0.0, 0.0, f"{name} is {_quote(cell)}: give an integer from {least} to {_LARGEST}"
        return float(value), float(value), ""

    return read


def pair_reader(name: str, default: int) -> Callable[[str], Cell]:
    """Reads a whole number for both axes, or two as ``HxW``; ``default`` is what an empty cell stands for, and the
    least.
    """

    def read(cell: str) -> Cell:
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


def blame(errors: list[str], index: int, sentence: str) -> None:
    """Keep the first complaint of a row: later ones often follow from it."""
    errors[index] = errors[index] or sentence


def _quote(cell: str) -> str:
    """A stranger's cell, short and on one line."""
    shown = "".join(ch if ch.isprintable() else "?" for ch in cell[:40])
    return f"{shown!r}{'…' if len(cell) > 40 else ''}" if cell else "empty"


def _or(choices: Sequence[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"
