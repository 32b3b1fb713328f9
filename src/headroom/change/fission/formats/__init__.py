"""Formats, bit-exact: what a packed value means, and how fp32 values are packed. One registry for all that choose."""

from __future__ import annotations

from collections.abc import Mapping

from headroom.change.fission.formats.byte_floats import ByteFloat, deft8_magnitudes, e4m3_magnitudes, ieee_magnitudes
from headroom.change.fission.formats.deft16 import Deft16
from headroom.change.fission.formats.deft16q import Deft16Q
from headroom.change.fission.formats.format import Format, Packed
from headroom.change.fission.formats.half import Half
from headroom.change.fission.formats.integers import WholeNumber
from headroom.change.fission.formats.scaled import WHOLE_ROW, Scaled
from headroom.errors import UsageError
from headroom.text import view

__all__ = ["FORMATS", "WHOLE_ROW", "Deft16", "Deft16Q", "Format", "Half", "Packed", "Scaled", "format_called"]

#: Values per scale of four-bit numbers: one large weight spoils few others, and scales are a sixteenth of the codes.
_INT4_GROUP = 128


def _deft8() -> tuple[Scaled, ...]:
    """As the paper has it, without scales, and with a zero and a scale per row."""
    exponents = range(1, 8)
    literal = (ByteFloat(f"deft8e{bits}_paper", deft8_magnitudes(bits, zero=False)) for bits in exponents)
    useful = (ByteFloat(f"deft8e{bits}", deft8_magnitudes(bits, zero=True)) for bits in exponents)
    return (*(Scaled(code, None) for code in literal), *(Scaled(code) for code in useful))


_EVERY: tuple[Format, ...] = (
    Half(),
    Deft16(),
    Deft16Q(),
    *_deft8(),
    Scaled(ByteFloat("fp8_e4m3", e4m3_magnitudes())),
    Scaled(ByteFloat("fp8_e5m2", ieee_magnitudes(5))),
    Scaled(WholeNumber("int8", 8)),
    Scaled(WholeNumber("int4", 4), _INT4_GROUP),
    Scaled(WholeNumber("int4", 4), 32),
)

#: Every format by its name.
FORMATS: Mapping[str, Format] = {each.name: each for each in _EVERY}


def format_called(name: str) -> Format:
    """The format of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in FORMATS:
        raise UsageError(f"no format is called {view(name, 40)!r}; there are {', '.join(FORMATS)}")
    return FORMATS[name]
