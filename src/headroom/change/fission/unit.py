"""The unit that does not exist: the paper's Data Fission Unit (section 4.2.3, Figure 8), bit by bit.

Two instructions, each of one 32-bit source and contiguous fp32 destinations, here along the last axis:

* ``dfu_cvt_16``: two values of Deft-16Q; a zero-padded shift and a copy.
* ``dfu_cvt_8``: four values of Deft-8 whose exponent width is an immediate. The difference of the biases is found once,
  127 - (2^(N-1) - 1), and added to each exponent; the mantissa is shifted to the top and padded to 23 bits; the sign is
  copied. No value is treated apart: there is no zero, no subnormal, no infinity and no NaN.

Which byte goes to which destination the paper leaves open; taken is memory's order, the lowest byte first.
"""

from __future__ import annotations

import numpy as np

from headroom.change.fission.formats.words import Codes, Floats

EXPONENT_BITS = range(1, 8)
_FP32_BIAS, _MANTISSA_BITS = 127, 23


def dfu_cvt_16(words: Codes) -> Floats:
    """Words, of any shape, as their two values each: (..., 2)."""
    return np.stack((words << np.uint32(16), words), axis=-1).view(np.float32)


def dfu_cvt_8(words: Codes, exponent_bits: int) -> Floats:
    """Words, of any shape, as their four values each: (..., 4).

    Raises:
        ValueError: ``exponent_bits`` is none of 1 to 7.
    """
    codes = (words[..., None] >> np.arange(0, 32, 8, dtype=np.uint32)) & np.uint32(0xFF)
    exponent = (codes & np.uint32(0x7F)) >> np.uint32(7 - exponent_bits)
    mantissa = (codes << np.uint32(exponent_bits)) & np.uint32(0x7F)
    sign = codes >> np.uint32(7)
    biased = exponent + np.uint32(bias_difference(exponent_bits))
    return ((sign << 31) | (biased << _MANTISSA_BITS) | (mantissa << (_MANTISSA_BITS - 7))).view(np.float32)


def bias_difference(exponent_bits: int) -> int:
    """What the unit adds to every exponent.

    >>> [bias_difference(bits) for bits in EXPONENT_BITS]
    [127, 126, 124, 120, 112, 96, 64]
    """
    if exponent_bits not in EXPONENT_BITS:
        raise ValueError(f"dfu_cvt_8 takes 1 to 7 exponent bits, not {exponent_bits}")
    return _FP32_BIAS - ((1 << (exponent_bits - 1)) - 1)
