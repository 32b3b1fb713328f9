"""Deft-16Q: Deft-16 in which a word's low value spills into its high one, so that fission is one shift (Figure 7e).

A word holds value 2i in its low and value 2i+1 in its high half. Unpacked, the low value is ``word << 16`` and the high
one is the *word itself*: the low value's bits stand where the high value's last 16 mantissa bits would. The paper saves
the logical AND that would clear them; which of the two spills is read off "the most significant bits of one value spill
into the least significant bits of the other".

The paper does not say whether packing makes up for the spill. It costs nothing, since the low half is known when the
high one is rounded: taken here is the high half whose *word* is nearest to the value, so that the error stays within
half a unit of Deft-16's last place. ``plain`` rounds both alike instead, which leaves an error of up to 3/2 units.

The low value is Deft-16 in every respect. In the high value a 0 becomes a subnormal below 2^-126 (a value of its own
only where subnormals are not flushed), an infinity and whatever rounds past the largest value become the largest finite
ones (an infinity with bits below it would be NaN), and NaN stays NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headroom.change.fission.formats.deft16 import INFINITY, MAGNITUDE, QUIET, Deft16
from headroom.change.fission.formats.format import Packed, fp32
from headroom.change.fission.formats.words import Codes, Floats, from_words, to_words

_SIGN, _LARGEST = np.uint32(0x8000), np.int64(0x7F7F)
_ROUNDED = Deft16()


@dataclass(frozen=True, slots=True)
class Deft16Q:
    """Deft-16 whose low half spills into the high value."""

    name: str = "deft16q"
    plain: bool = False
    bits: int = 16

    def group_of(self, count: int) -> int | None:
        return None

    def pack(self, values: Floats) -> Packed:
        rows = fp32(values)
        codes = _ROUNDED.encode(rows)
        low, high = codes[:, : rows.shape[1] // 2 * 2 : 2], np.ascontiguousarray(rows[:, 1::2])
        codes[:, 1::2] = self._high(high, low)
        return Packed(to_words(codes, self.bits), rows.shape[1])

    def unpack(self, packed: Packed) -> Floats:
        low = packed.words << np.uint32(16)
        both = np.stack((low, packed.words), axis=-1).view(np.float32)
        return both.reshape(len(packed.words), -1)[:, : packed.count]

    def spilled(self, packed: Packed) -> Codes:
        """What stands below each high value: the low halves."""
        return from_words(packed.words, self.bits, packed.count)[:, : packed.count // 2 * 2 : 2]

    def _high(self, values: Floats, low: Codes) -> Codes:
        pattern = values.view(np.uint32)
        magnitude = (pattern & MAGNITUDE).astype(np.int64)
        above = np.maximum(magnitude - (0 if self.plain else low.astype(np.int64)), 0)
        rounded = np.minimum((above + 0x7FFF + ((above >> 16) & 1)) >> 16, _LARGEST).astype(np.uint32)
        sign = (pattern >> np.uint32(16)) & _SIGN
        is_nan = (pattern & MAGNITUDE) > INFINITY
        return np.where(is_nan, (pattern >> np.uint32(16)) | QUIET, sign | rounded)
