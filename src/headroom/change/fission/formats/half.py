"""IEEE half precision (binary16): 1 sign, 5 exponent and 10 mantissa bits, as NumPy and every GPU convert it.

Rounding: to nearest, ties to even. Subnormals down to 2^-24. From 65520 on infinity; infinities and NaN stay what they
are (a NaN keeps its sign and the upper bits of its payload, and is quiet).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headroom.change.fission.formats.format import Packed, fp32
from headroom.change.fission.formats.words import Codes, Floats, from_words, to_words


@dataclass(frozen=True, slots=True)
class Half:
    """IEEE half precision, two values a word."""

    name: str = "half"
    bits: int = 16

    def group_of(self, count: int) -> int | None:
        return None

    def encode(self, values: Floats) -> Codes:
        with np.errstate(over="ignore", invalid="ignore"):
            codes = values.astype(np.float16).view(np.uint16)
        return codes.astype(np.uint32)

    def decode(self, codes: Codes) -> Floats:
        # A signalling NaN becomes quiet, which NumPy tells of.
        with np.errstate(invalid="ignore"):
            return codes.astype(np.uint16).view(np.float16).astype(np.float32)

    def pack(self, values: Floats) -> Packed:
        rows = fp32(values)
        return Packed(to_words(self.encode(rows), self.bits), rows.shape[1])

    def unpack(self, packed: Packed) -> Floats:
        return self.decode(from_words(packed.words, self.bits, packed.count))
