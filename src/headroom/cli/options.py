"""Values of options that are more than a word: batches, dimensions, choices."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from headroom.errors import UsageError


class Source(StrEnum):
    AUTO = "auto"
    MEASURED = "measured"
    PREDICTED = "predicted"


class L2State(StrEnum):
    WARM = "warm"
    COLD = "cold"


def parse_batches(text: str | None) -> tuple[int | None, ...]:
    """``"1,8,32"`` as numbers; ``(None,)``, the model's own batch, where nothing is given.

    >>> parse_batches("1,8")
    (1, 8)
    """
    if text is None:
        return (None,)
    return tuple(dict.fromkeys(_positive("--batch", part) for part in text.split(",")))


def parse_dims(pairs: Sequence[str]) -> dict[str, int]:
    """``["sequence=128"]`` as ``{"sequence": 128}``."""
    dims: dict[str, int] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--dim {pair!r}: expected NAME=N, for example --dim sequence=128")
        if name in dims:
            raise UsageError(f"--dim {name} is given twice; give it once")
        dims[name] = _positive(f"--dim {name}", value)
    return dims


def _positive(option: str, text: str) -> int:
    if not text.strip().isdecimal() or not 1 <= (number := int(text)) < 2**31:
        raise UsageError(f"{option} {text!r}: expected a whole number from 1 to 2147483647")
    return number


def complete_gpu(incomplete: str) -> list[str]:
    """Sheet ids for shell completion."""
    from headroom.gpu.sheets import sheet_ids

    return [name for name in sheet_ids() if name.startswith(incomplete)]
