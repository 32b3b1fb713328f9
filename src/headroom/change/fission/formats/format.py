"""What a format is: how rows of fp32 values become words, and words values again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from headroom.change.fission.formats.words import Codes, Floats


@dataclass(frozen=True, slots=True)
class Packed:
    """Packed rows.

    Attributes:
        words: (rows, words) of 32 bits.
        count: values of a row, K.
        scales: (rows, groups) that a group's decoded values are multiplied by; ``None`` for formats without.
    """

    words: Codes
    count: int
    scales: Floats | None = None

    @property
    def bytes(self) -> int:
        """What crosses memory: words and scales."""
        return self.words.nbytes + (0 if self.scales is None else self.scales.nbytes)


class Format(Protocol):
    """A packed format. ``unpack(pack(x))`` is the value nearest to x that the format has, unless its page says more."""

    @property
    def name(self) -> str:
        """What the command line, files and kernels call it."""

    @property
    def bits(self) -> int:
        """Bits of a value, without its share of a scale."""

    def group_of(self, count: int) -> int | None:
        """Values that share a scale in a row of ``count``; ``None`` for formats without scales."""

    def pack(self, values: Floats) -> Packed:
        """Rows of values, (rows, count), packed."""

    def unpack(self, packed: Packed) -> Floats:
        """The values, (rows, count), in fp32 exactly as the kernels see them."""


def fp32(values: object) -> Floats:
    """Rows of values as contiguous fp32."""
    rows = np.ascontiguousarray(values, np.float32)
    if rows.ndim != 2:
        raise ValueError(f"packing takes rows of values, (rows, count), and got an array of shape {rows.shape}")
    return rows
