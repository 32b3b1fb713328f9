"""Deft-16: the 16 most significant bits of an fp32 value (section 4.2.2), which is today's bfloat16.

The paper defines what is kept, not how it is rounded. Taken here: to nearest, ties to even, as weights are packed once;
``truncated`` cuts instead, which costs a kernel that packs its operands one instruction less and doubles the error.
Rounded, values from 2^128 - 2^119 on become infinity. Subnormals, infinities and NaN stay what they are; a NaN whose
payload lies in the bits that go is made quiet, or it would become infinity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headroom.change.fission.formats.format import Packed, fp32
from headroom.change.fission.formats.words import Codes, Floats, from_words, to_words

MAGNITUDE, INFINITY, QUIET = np.uint32(0x7FFFFFFF), np.uint32(0x7F800000), np.uint32(0x0040)


@dataclass(frozen=True, slots=True)
class Deft16:
    """The upper half of fp32, two values a word."""

    name: str = "deft16"
    truncated: bool = False
    bits: int = 16

    def group_of(self, count: int) -> int | None:
        return None

    def encode(self, values: Floats) -> Codes:
        pattern = values.view(np.uint32)
        upper = pattern >> np.uint32(16)
        is_nan = (pattern & MAGNITUDE) > INFINITY
        if self.truncated:
            rounded = upper
        else:
            # At most 0x7FFF and a half more is added: only a NaN could overflow, and it is replaced.
            with np.errstate(over="ignore"):
                rounded = (pattern + np.uint32(0x7FFF) + (upper & np.uint32(1))) >> np.uint32(16)
        return np.where(is_nan, upper | QUIET, rounded)

    def decode(self, codes: Codes) -> Floats:
        return (codes << np.uint32(16)).view(np.float32)

    def pack(self, values: Floats) -> Packed:
        rows = fp32(values)
        return Packed(to_words(self.encode(rows), self.bits), rows.shape[1])

    def unpack(self, packed: Packed) -> Floats:
        return self.decode(from_words(packed.words, self.bits, packed.count))
