"""Codes side by side in 32-bit words: code 0 in the lowest bits, so that memory holds them in order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Codes = NDArray[np.uint32]

#: A row of packed values is a multiple of this many words: kernels load 16 bytes at a time.
ROW_WORDS = 4


def row_words(count: int, bits: int) -> int:
    """Words that a row of ``count`` values of ``bits`` takes, filled up to whole 16 bytes.

    >>> row_words(9, 8)
    4
    """
    return -(-count * bits // (32 * ROW_WORDS)) * ROW_WORDS


def to_words(codes: NDArray[Any], bits: int) -> Codes:
    """Codes of ``bits`` each, (..., count), as words (..., :func:`row_words`); the places left over hold code 0."""
    per_word = 32 // bits
    count = codes.shape[-1]
    filled = np.zeros((*codes.shape[:-1], row_words(count, bits) * per_word), np.uint32)
    filled[..., :count] = codes
    places = filled.reshape(*codes.shape[:-1], -1, per_word)
    words = places[..., 0].copy()
    for place in range(1, per_word):
        words |= places[..., place] << np.uint32(bits * place)
    return words


def from_words(words: Codes, bits: int, count: int) -> Codes:
    """The first ``count`` codes of every row of words."""
    shifts = np.arange(0, 32, bits, dtype=np.uint32)
    codes = (words[..., None] >> shifts) & np.uint32(2**bits - 1)
    return codes.reshape(*words.shape[:-1], -1)[..., :count]
