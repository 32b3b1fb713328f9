"""Signed whole numbers of 8 and 4 bits: codes of a symmetric range, stored with an offset.

Code c means c - 2^(bits-1). The offset makes a value's bits the mantissa of a float that is split off with one byte
permutation and one subtraction; two's complement would need sign extension and a conversion, which GPUs do at a quarter
of the rate. Packing rounds to nearest, ties to even, into -(2^(bits-1) - 1) to 2^(bits-1) - 1; the code 0 that this
leaves means -2^(bits-1) and is never packed. Infinities become the ends; NaN becomes 0. There are no subnormals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headroom.change.fission.formats.words import Codes, Floats


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """Whole numbers of ``bits`` bits around 0."""

    name: str
    bits: int

    @property
    def largest(self) -> float:
        return float(2 ** (self.bits - 1) - 1)

    def encode(self, values: Floats) -> Codes:
        numbers = np.clip(np.rint(np.nan_to_num(values, nan=0.0)), -self.largest, self.largest)
        codes: Codes = (numbers.astype(np.int32) + 2 ** (self.bits - 1)).astype(np.uint32)
        return codes

    def decode(self, codes: Codes) -> Floats:
        values: Floats = (codes.astype(np.int32) - 2 ** (self.bits - 1)).astype(np.float32)
        return values

    def table(self) -> Floats:
        """The values of all codes."""
        return self.decode(np.arange(2**self.bits, dtype=np.uint32))
