"""Values of options that are more than a word: batches, dimensions, choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from headroom.errors import UsageError
from headroom.graph.tensor import DataType
from headroom.text import plain_line, whole_number

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Source(StrEnum):
    AUTO = "auto"
    MEASURED = "measured"
    PREDICTED = "predicted"


class L2State(StrEnum):
    WARM = "warm"
    COLD = "cold"


class Theory(StrEnum):
    CALIBRATED = "calibrated"
    DELTA = "delta"


class Plans(StrEnum):
    ALL = "all"
    HEURISTIC = "heuristic"


class Again(StrEnum):
    ALL = "all"
    FAILED = "failed"


class Direction(StrEnum):
    FORWARD = "forward"
    DGRAD = "dgrad"
    WGRAD = "wgrad"
    TRAINING = "training"


def parse_dtypes(text: str | None) -> tuple[DataType, ...]:
    """``"bf16,tf32"`` as data types; none where nothing is given.

    >>> parse_dtypes("bf16,tf32")
    (<DataType.BF16: 'bf16'>, <DataType.TF32: 'tf32'>)
    """
    names = dict.fromkeys(part.strip() for part in text.split(",")) if text is not None else ()
    for name in names:
        if name not in tuple(DataType):
            raise UsageError(f"--dtype {name!r}: expected one of {', '.join(DataType)}")
    return tuple(DataType(name) for name in names)


def parse_seconds(text: str | None) -> float | None:
    """``"60s"``, ``"5m"``, ``"2h"`` or a plain number of seconds; ``None`` where nothing is given.

    >>> parse_seconds("5m")
    300.0
    """
    if text is None:
        return None
    number, unit = (text[:-1], text[-1]) if text[-1:] in _SECONDS else (text, "s")
    try:
        seconds = float(number) * _SECONDS[unit]
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"--budget {text!r}: expected a time such as 60s, 5m or 2h")
    return seconds


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


def check_fleet(fleet: str | None, *, alone: Mapping[str, bool], tls: Path | None) -> None:
    """Check that no option is given that is for one GPU ``alone`` where a fleet is to measure."""
    if fleet is None and tls is not None:
        raise UsageError("--tls is for a fleet: name its scheduler with --fleet")
    given = [option for option, is_given in alone.items() if is_given]
    if fleet is not None and given:
        raise UsageError(f"{given[0]} is for one GPU: leave it out, or leave out --fleet")


def _positive(option: str, text: str) -> int:
    number = whole_number(text.strip())
    if number is None or not 1 <= number < 2**31:
        raise UsageError(f"{option} '{plain_line(text, 60)}': expected a whole number from 1 to 2147483647")
    return number


def complete_gpu(incomplete: str) -> list[str]:
    """Sheet ids for shell completion."""
    from headroom.gpu.sheets import sheet_ids

    return [name for name in sheet_ids() if name.startswith(incomplete)]
