"""The best pairing of two sequences that keeps the order of both: dynamic programming, one numpy row per layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.float64]

_A = TypeVar("_A")
_B = TypeVar("_B")

#: Scores are multiples of far more than this.
_CLOSE = 1e-6


def table(
    atoms: Sequence[_A],
    units: Sequence[_B],
    rate: Callable[[_A, _B], float],
    atom_key: Callable[[_A], Hashable],
    unit_key: Callable[[_B], Hashable],
) -> Table:
    """``rate`` of every pair. Equal keys rate alike, so that each kind of pair is rated once."""
    rows, row_of = _kinds(atoms, atom_key)
    columns, column_of = _kinds(units, unit_key)
    small = np.array([[rate(row, column) for column in columns] for row in rows], dtype=np.float64)
    return small.reshape(len(rows), len(columns))[np.ix_(row_of, column_of)]


def _kinds(items: Sequence[_A], key: Callable[[_A], Hashable]) -> tuple[list[_A], list[int]]:
    place: dict[Hashable, int] = {}
    kinds: list[_A] = []
    of: list[int] = []
    for item in items:
        at = place.setdefault(key(item), len(kinds))
        if at == len(kinds):
            kinds.append(item)
        of.append(at)
    return kinds, of


def align(match: Table, absorb: Table, row_cost: Table, column_cost: Table) -> list[tuple[int, int]]:
    """Pairs (row, column), both ascending, with the largest sum of scores less the costs of what is left out.

    A column pairs with one row by ``match`` and with rows behind it by ``absorb``: a fused kernel runs several
    layers. A score of 0 forbids the pair.
    """
    rows, columns = match.shape
    spent = np.concatenate(([0.0], np.cumsum(column_cost)))
    # best[i][j]: the first i rows and j columns are dealt with. ended[i][j]: and column j - 1 has a partner.
    best = np.empty((rows + 1, columns + 1))
    ended = np.full((rows + 1, columns + 1), -np.inf)
    best[0] = -spent
    for row in range(rows):
        paired = np.where(match[row] > 0, best[row, :-1] + match[row], -np.inf)
        joined = np.where(absorb[row] > 0, ended[row, 1:] + absorb[row], -np.inf)
        ended[row + 1, 1:] = np.maximum(np.maximum(paired, joined), ended[row, 1:] - row_cost[row])
        reached = np.maximum(ended[row + 1], best[row] - row_cost[row])
        # Leaving out columns costs their sum, so a running maximum finds the best number of them.
        best[row + 1] = np.maximum.accumulate(reached + spent) - spent
    return _trace(match, absorb, row_cost, best, ended)


def _trace(match: Table, absorb: Table, row_cost: Table, best: Table, ended: Table) -> list[tuple[int, int]]:
    """Walks back from the end along the choices that made the best sum."""
    pairs: list[tuple[int, int]] = []
    row, column = match.shape
    held = False  # whether column - 1 has its partner further up
    while row > 0 and column > 0:
        reached, above = best.item(row, column), best.item(row - 1, column)
        paired, joined = match.item(row - 1, column - 1), absorb.item(row - 1, column - 1)
        if held or _same(reached, ended.item(row, column)):
            value = ended.item(row, column)
            if paired > 0 and _same(value, best.item(row - 1, column - 1) + paired):
                pairs.append((row - 1, column - 1))
                row, column, held = row - 1, column - 1, False
                continue
            if joined > 0 and _same(value, ended.item(row - 1, column) + joined):
                pairs.append((row - 1, column - 1))
            row, held = row - 1, True
        elif _same(reached, above - row_cost.item(row - 1)):
            row -= 1
        else:
            column -= 1
    return pairs[::-1]


def _same(left: float, right: float) -> bool:
    return left > -math.inf and right > -math.inf and abs(left - right) < _CLOSE
