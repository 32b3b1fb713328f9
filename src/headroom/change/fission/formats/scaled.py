"""Codes of up to 8 bits, with or without a scale per group of a row's values.

A group's scale is its largest finite magnitude over the codes' largest value, in fp32 and at least 2^-126, and 1 for a
group of zeros. A value is divided by it (fp32, to nearest) before it is encoded; unpacked, a code's meaning is
multiplied by it (fp32, to nearest). Infinities take part in no scale and become the largest value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from headroom.change.fission.formats.format import Packed, fp32
from headroom.change.fission.formats.words import Codes, Floats, from_words, to_words

WHOLE_ROW = 0
_SMALLEST_NORMAL = np.float32(2.0**-126)


class Code(Protocol):
    """Numbers of few bits: what :class:`Scaled` puts side by side. Code 0 need not mean 0."""

    @property
    def name(self) -> str: ...

    @property
    def bits(self) -> int: ...

    @property
    def largest(self) -> float:
        """The largest finite value that a code means."""

    def encode(self, values: Floats) -> Codes: ...

    def decode(self, codes: Codes) -> Floats: ...

    def table(self) -> Floats:
        """The values of all codes."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """Rows of codes.

    Args:
        code: what a value becomes.
        group: values that share a scale; ``WHOLE_ROW`` for one scale a row, ``None`` for none.
    """

    code: Code
    group: int | None = WHOLE_ROW

    @property
    def name(self) -> str:
        suffix = f"_g{self.group}" if self.group else ""
        return self.code.name + suffix

    @property
    def bits(self) -> int:
        return self.code.bits

    def group_of(self, count: int) -> int | None:
        return count if self.group == WHOLE_ROW else self.group

    def pack(self, values: Floats) -> Packed:
        rows = fp32(values)
        scales = self._scales(rows)
        scaled = rows if scales is None else rows / self._spread(scales, rows.shape[1])
        return Packed(to_words(self.code.encode(scaled), self.bits), rows.shape[1], scales)

    def unpack(self, packed: Packed) -> Floats:
        values = self.code.decode(from_words(packed.words, self.bits, packed.count))
        return values if packed.scales is None else values * self._spread(packed.scales, packed.count)

    def _scales(self, rows: Floats) -> Floats | None:
        group = self.group_of(rows.shape[1])
        if group is None:
            return None
        groups = max(1, -(-rows.shape[1] // max(group, 1)))
        padded = np.zeros((len(rows), groups * max(group, 1)), np.float32)
        padded[:, : rows.shape[1]] = np.where(np.isfinite(rows), np.abs(rows), np.float32(0))
        most = padded.reshape(len(rows), groups, -1).max(axis=2)
        return np.where(most > 0, np.maximum(most / np.float32(self.code.largest), _SMALLEST_NORMAL), np.float32(1))

    def _spread(self, scales: Floats, count: int) -> Floats:
        """Each value's scale."""
        return np.repeat(scales, max(self.group_of(count) or 1, 1), axis=1)[:, :count]
