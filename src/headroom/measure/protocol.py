"""The messages between parent and worker: JSON objects, one per line, of at most :data:`LONGEST_MESSAGE` bytes.

The parent asks ``{"ask": "facts"}``, ``{"ask": "measure", "task": …, "known": […], "seconds": …}`` or
``{"ask": "job", "job": name, "arguments": …}``. The worker says, under ``"event"``:

* ``facts``: the answer to the first;
* ``trying``: what runs from now on, so that whatever happens next is put down to it; ``waiting`` and ``running``
  around the time that another worker has the GPU; ``timing``: a row; at the end ``measured``, or ``poisoned`` where
  the CUDA context is lost and the worker ends;
* ``progress`` any number of times, then ``result``;
* ``error``: a sentence instead of an answer.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from headroom import errors
from headroom.errors import GpuError, HeadroomError
from headroom.measure.bench import Facts
from headroom.store.rows import Implementation, Kernel, Status, System, Timing
from headroom.text import plain_line

Message = dict[str, Any]

#: A row with hundreds of kernels takes some 100 KB; whatever is longer is no message.
LONGEST_MESSAGE = 8 << 20

#: Longest sentence that an error or a row may carry.
SENTENCE_CHARACTERS = 500


class GarbageError(Exception):
    """What came through the pipe is no message."""


def encode(message: Message) -> bytes:
    """One line of bytes."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The message in a line.

    Raises:
        GarbageError: it is none.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise GarbageError(f"{len(line)} bytes that are no JSON") from error
    if not isinstance(message, dict) or not line.endswith(b"\n"):
        raise GarbageError(f"{len(line)} bytes that are no whole message")
    return message


def timing_to_json(timing: Timing) -> Message:
    return asdict(timing)


def timing_from_json(data: Message) -> Timing:
    """The row that :func:`timing_to_json` was given.

    Raises:
        GarbageError: a field is missing, unknown or of another kind.
    """
    try:
        return Timing(
            **data
            | {
                "implementation": Implementation(**data["implementation"]),
                "status": Status(data["status"]),
                "kernels": tuple(_kernel(kernel) for kernel in data["kernels"]),
                "reason": plain_line(data["reason"], SENTENCE_CHARACTERS),
            }
        )
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise GarbageError(f"a row that is none ({error})") from error


def _kernel(data: Message) -> Kernel:
    x, y, z = data["grid"]
    bx, by, bz = data["block"]
    tile = data["tile"]
    return Kernel(**data | {"grid": (x, y, z), "block": (bx, by, bz), "tile": None if tile is None else tuple(tile)})


def facts_to_json(facts: Facts) -> Message:
    return asdict(facts)


def facts_from_json(data: Message) -> Facts:
    """The facts that :func:`facts_to_json` was given.

    Raises:
        GarbageError: a field is missing, unknown or of another kind.
    """
    try:
        return Facts(**data | {"system": System(**data["system"]), "missing": tuple(data["missing"])})
    except (TypeError, LookupError) as error:
        raise GarbageError(f"facts that are none ({error})") from error


def error_to_json(error: BaseException, details: str) -> Message:
    """``error`` as a message; ``details`` is its traceback."""
    sentence = str(error) if isinstance(error, HeadroomError) else f"{type(error).__name__}: {error}"
    return {
        "event": "error",
        "class": type(error).__name__,
        "sentence": plain_line(sentence, SENTENCE_CHARACTERS),
        "details": details,
    }


def error_from_json(message: Message) -> HeadroomError:
    """The error that a message tells: of its own class where that is one of ours, else a ``GpuError``."""
    kind = getattr(errors, str(message.get("class")), GpuError)
    if not (isinstance(kind, type) and issubclass(kind, HeadroomError)):
        kind = GpuError
    error = kind(plain_line(str(message.get("sentence")), SENTENCE_CHARACTERS))
    error.add_note(str(message.get("details", "")))
    return error
