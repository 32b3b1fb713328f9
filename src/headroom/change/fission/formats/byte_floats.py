"""Floating-point numbers of one byte: Deft-8 with 1 to 7 exponent bits (Figure 8), and today's fp8 e4m3 and e5m2.

A format is the table of what its 128 magnitudes mean; packing takes the nearest, ties to the even code. Magnitudes
past the largest finite one become that one, infinities too (as the GPU's own ``satfinite`` conversions have it), unless
``saturating`` is off: then what rounds past it becomes the format's infinity, or its NaN where there is none (as
``ml_dtypes`` converts). The sign is always kept.

*Deft-8*, N exponent bits: sign, exponent and 7 - N mantissa bits. The paper's unit adds ``127 - (2^(N-1) - 1)`` to the
exponent and pads the mantissa with zeros, whatever the exponent is: every code is a normal number. So there are no
subnormals, no infinity, no NaN (NaN packs as the largest magnitude) and, read literally, **no zero**: code 0 is
2^(1 - 2^(N-1)), and 0 packs as it. Pruned weights and ReLU's outputs are mostly zeros, so ``deft8eN`` gives code 0 the
meaning 0 (one NOR of seven bits in hardware) and ``deft8eN_paper`` is the literal unit.

*fp8 e4m3*: bias 7, subnormals, no infinity, one NaN (magnitude 127), largest 448. *fp8 e5m2*: bias 15, IEEE in every
respect, largest 57344. Both as the Open Compute Project defines them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headroom.change.fission.formats.words import Codes, Floats

_MAGNITUDES = 128
_SIGN = np.uint32(0x80)


@dataclass(frozen=True)
class ByteFloat:
    """A floating-point number of one byte.

    Args:
        name: what it is called.
        magnitudes: what codes 0 to 127 mean, rising over the finite ones; infinity and NaN only after them.
        saturating: whether what is too large becomes the largest finite value.
    """

    name: str
    magnitudes: tuple[float, ...]
    saturating: bool = True
    bits: int = 8
    _finite: NDArray[np.float64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        every = np.array(self.magnitudes)
        object.__setattr__(self, "_finite", every[np.isfinite(every)])

    @property
    def largest(self) -> float:
        """The largest finite value."""
        return float(self._finite[-1])

    def encode(self, values: Floats) -> Codes:
        magnitude = np.abs(values.astype(np.float64))
        # Sums of two neighbours are exact in fp64, and a value equals half a sum only in a tie.
        middles = (self._finite[:-1] + self._finite[1:]) / 2
        codes = np.searchsorted(middles, magnitude).astype(np.uint32)
        is_tie = middles[np.minimum(codes, len(middles) - 1)] == magnitude
        codes += (codes % 2 == 1) & is_tie
        last = len(self._finite) - 1
        if not self.saturating:
            step = self._finite[-1] - self._finite[-2]
            too_large = magnitude >= self._finite[-1] + step / 2
            # In a tie the largest value's own code wins if it is even.
            too_large &= (magnitude > self._finite[-1] + step / 2) | (last % 2 == 1)
            codes[too_large] = min(last + 1, _MAGNITUDES - 1)
        codes[np.isnan(values)] = _MAGNITUDES - 1
        return codes | np.where(np.signbit(values), _SIGN, np.uint32(0))

    def decode(self, codes: Codes) -> Floats:
        return self.table()[codes]

    def table(self) -> Floats:
        """The values of all 256 codes."""
        positive = np.array(self.magnitudes, np.float32)
        return np.concatenate((positive, -positive))


def deft8_magnitudes(exponent_bits: int, *, zero: bool) -> tuple[float, ...]:
    """What the 128 magnitudes of Deft-8 mean; ``zero``: code 0 means 0, which the paper's unit does not give."""
    if not 1 <= exponent_bits <= 7:
        raise ValueError(f"Deft-8 has 1 to 7 exponent bits, not {exponent_bits}")
    mantissa_bits = 7 - exponent_bits
    bias = 2 ** (exponent_bits - 1) - 1
    found = [
        (1 + code % 2**mantissa_bits / 2**mantissa_bits) * 2.0 ** ((code >> mantissa_bits) - bias)
        for code in range(_MAGNITUDES)
    ]
    return (0.0, *found[1:]) if zero else tuple(found)


def ieee_magnitudes(exponent_bits: int) -> tuple[float, ...]:
    """What they mean with subnormals, infinity and NaN as in IEEE 754."""
    mantissa_bits = 7 - exponent_bits
    bias, top = 2 ** (exponent_bits - 1) - 1, 2**exponent_bits - 1
    found = []
    for code in range(_MAGNITUDES):
        exponent, mantissa = code >> mantissa_bits, code % 2**mantissa_bits / 2**mantissa_bits
        if exponent == top:
            found.append(float("nan") if mantissa else float("inf"))
        else:
            found.append(((exponent > 0) + mantissa) * 2.0 ** (max(exponent, 1) - bias))
    return tuple(found)


def e4m3_magnitudes() -> tuple[float, ...]:
    """Exponent bits all set are ordinary numbers, except with all mantissa bits set: that is NaN."""
    normal = [(1 + mantissa / 8) * 2.0**8 for mantissa in range(7)]
    return (*ieee_magnitudes(4)[:-8], *normal, float("nan"))
