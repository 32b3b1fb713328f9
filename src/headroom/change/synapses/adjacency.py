"""Which synapse vectors represent which, one bit per pair.

The correlations of 25088 synapse vectors are 2.5 GB as float32; their comparison with a threshold is 79 MB as bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from headroom.change.synapses.correlation import Correlation
from headroom.errors import UsageError

Bits = npt.NDArray[np.uint8]

#: Synapse vectors whose correlations exist at one time, squared: 16 MB of float32. A multiple of 8, for whole bytes.
BLOCK = 2048
#: What a float32 correlation may lack to its threshold: it rounds, and copies must represent each other at alpha 1.
ROUNDING = 2e-6


def adjacency(correlation: Correlation, alphas: Sequence[float], *, block: int = BLOCK) -> list[Bits]:
    """Equation 7's condition for every pair, at each threshold: (K, K / 8) bits, bit j of row i for "i represents j".

    Correlation is symmetric, so each pair is computed once, whatever the number of thresholds. Dead vectors represent
    nothing and are represented by nothing; every other one represents itself.

    Raises:
        UsageError: a threshold is not in (0, 1].
    """
    for alpha in alphas:
        if not 0 < alpha <= 1:
            raise UsageError(f"a correlation threshold of {alpha} means nothing; choose one above 0 and up to 1")
    count = correlation.count
    found = [np.zeros((count, -(-count // 8)), np.uint8) for _ in alphas]
    parts = [slice(start, min(start + block, count)) for start in range(0, count, block)]
    for number, rows in enumerate(parts):
        for columns in parts[number:]:
            values = correlation.block(rows, columns)
            for bits, alpha in zip(found, alphas, strict=True):
                _enter(bits, rows, columns, values >= alpha - ROUNDING)
    for bits in found:
        alive = np.flatnonzero(~correlation.dead)
        bits[alive, alive // 8] |= (1 << (alive % 8)).astype(np.uint8)
    return found


def _enter(bits: Bits, rows: slice, columns: slice, hit: npt.NDArray[np.bool_]) -> None:
    """Write one block and its mirror image."""
    if rows == columns:
        # A product need not be symmetric to the last bit; one half decides for both.
        hit = np.triu(hit, 1)
        hit |= hit.T
    bits[rows, columns.start // 8 : -(-columns.stop // 8)] = np.packbits(hit, axis=1, bitorder="little")
    if rows != columns:
        mirrored = np.ascontiguousarray(hit.T)
        bits[columns, rows.start // 8 : -(-rows.stop // 8)] = np.packbits(mirrored, axis=1, bitorder="little")


def unpacked(bits: Bits, count: int) -> npt.NDArray[np.uint8]:
    """One row or several as 0 and 1, K of them each."""
    return np.unpackbits(bits, axis=-1, count=count, bitorder="little")
