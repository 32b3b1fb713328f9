"""The row of an implementation that has no time, and what its exception means."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from headroom.measure.bench import Bench, Check, Failure, HopelessError, UnsupportedError
from headroom.store.rows import Implementation, Status, Timing
from headroom.text import plain_line

#: Longest reason of a row.
REASON_CHARACTERS = 300

_NO_END = "it did not end within"


class WrongOutputError(Exception):
    """An implementation does not compute what the reference computes."""

    def __init__(self, check: Check) -> None:
        wrong = f"its output is wrong by {check.relative_error:.2g} of the reference"
        if not math.isfinite(check.relative_error):
            wrong = "its output holds values that are not numbers"
        super().__init__(f"{wrong}; tolerated are {check.tolerance:.2g}")
        self.check = check


def meaning_of(error: Exception, bench: Bench) -> Failure:
    """What an exception of an implementation means."""
    match error:
        case WrongOutputError():
            return Failure(Status.FAILED, str(error))
        case UnsupportedError():
            return Failure(Status.UNSUPPORTED, str(error))
        case HopelessError():
            return Failure(Status.TIMEOUT, str(error))
    return bench.failure(error)


def left_out(reason: str) -> Failure:
    """A library that this machine lacks."""
    return Failure(Status.UNSUPPORTED, f"this library is left out: {reason}")


def untried(first: Implementation, seconds: float) -> Failure:
    """Everything from ``first`` on, for want of time."""
    at = f"{first.backend} {first.name}"
    return Failure(Status.TIMEOUT, f"the layer's {seconds:.0f} s were over: {at} and what follows it was not tried")


def endless(seconds: float) -> Failure:
    """An implementation that was waited for so long in vain."""
    return Failure(Status.TIMEOUT, f"{_NO_END} {seconds:g} s")


def is_endless(row: Timing) -> bool:
    return row.status is Status.TIMEOUT and row.reason.startswith(_NO_END)


def like_endless(engine: str) -> Failure:
    """One more set of knobs of an engine that did not end with another."""
    return Failure(Status.TIMEOUT, f"not tried: {engine} did not end with other knobs")


def row_of(
    failure: Failure, implementation: Implementation, l2: str, *, gpu_uuid: str = "", check: Check | None = None
) -> Timing:
    """The row of an implementation that has no time; ``check`` where its output was compared."""
    return Timing(
        implementation,
        l2,
        failure.status,
        plain_line(failure.reason, REASON_CHARACTERS),
        relative_error=check.relative_error if check and math.isfinite(check.relative_error) else None,
        tolerance=check.tolerance if check else None,
        needed_bytes=failure.needed_bytes,
        free_bytes=failure.free_bytes,
        gpu_uuid=gpu_uuid,
        measured_at=now(),
    )


def now() -> str:
    """This moment in UTC, as rows tell it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
