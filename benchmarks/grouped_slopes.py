"""Slopes of residuals in which most constants belong to one group of rows: all groups' are taken at once.

A kernel's rows depend on what all kernels share, on their family's constants and on their tile's. Finite differences
one constant at a time would work out every row again for the constants of every other tile; here a constant
is moved for all tiles together, and each row's difference goes to the column of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

#: Length of a step in units of the constant, or of 1 where that is longer: as scipy takes it.
_STEP = float(np.sqrt(np.finfo(np.float64).eps))

Residuals = Callable[[np.ndarray], np.ndarray]


def slopes(residuals: Residuals, x: np.ndarray, columns: Iterable[np.ndarray]) -> np.ndarray:
    """The derivatives of ``residuals`` at ``x``, of shape (rows, constants).

    Each of ``columns`` names, row by row, the one constant among those moved together that the row depends on.
    """
    here = residuals(x)
    rows = np.arange(len(here))
    found = np.zeros((len(here), len(x)))
    for column in columns:
        moved = np.unique(column)
        there = x.copy()
        there[moved] += _STEP * np.where(x[moved] < 0.0, -1.0, 1.0) * np.maximum(1.0, np.abs(x[moved]))
        found[rows, column] = (residuals(there) - here) / (there - x)[column]
    return found
