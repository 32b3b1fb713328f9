"""The bytes of a profile, unpacked and parsed without trusting them."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

from headroom.errors import ProfileError
from headroom.text import plain_line

#: The longest text that is parsed. Kineto writes some 250 bytes per event, and an event takes about two kilobytes once
#: parsed: half a million events, or fifty steps of a large network, and a gigabyte of memory.
TEXT_LIMIT_BYTES = 128 << 20

_GZIP = b"\x1f\x8b"


def read_bytes(path: Path) -> bytes:
    """The file's content, unpacked where it is gzip.

    Raises:
        ProfileError: it is absent, no file, damaged, or longer than :data:`TEXT_LIMIT_BYTES` once unpacked.
    """
    if path.exists() and not path.is_file():
        raise ProfileError(f"{path} is not a file; name the profile itself")
    try:
        with path.open("rb") as file:
            packed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            # One byte more than is allowed tells a file that is too long from one that just fits.
            content = (
                gzip.GzipFile(fileobj=file).read(TEXT_LIMIT_BYTES + 1) if packed else file.read(TEXT_LIMIT_BYTES + 1)
            )
    except FileNotFoundError:
        raise ProfileError(f"{path} does not exist; check the path, or record it with headroom profile") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise ProfileError(f"{path} is damaged gzip, perhaps cut short; copy it again or record it again") from None
    except (OSError, ValueError) as error:
        raise ProfileError(f"{plain_line(str(path))} cannot be read: {error}; check the path") from None
    if len(content) > TEXT_LIMIT_BYTES:
        raise ProfileError(
            f"{path} holds more than {TEXT_LIMIT_BYTES >> 20} MiB of text; record fewer steps: two are enough"
        )
    return content


def parse_json(path: Path, content: bytes) -> object:
    """The JSON in ``content``.

    Raises:
        ProfileError: it is not JSON, or nested deeper than any profiler writes.
    """
    try:
        # Kernel names come from mangled symbols and are not always clean text.
        value: object = json.loads(content.decode("utf-8", errors="replace"), strict=False)
    except json.JSONDecodeError as error:
        place = f"{path} at character {error.pos}"
        if error.pos >= len(content) - 1 or error.msg.startswith("Unterminated"):
            raise ProfileError(
                f"{place}: the JSON ends in the middle; record it again and let the writer end"
            ) from None
        raise ProfileError(f"{place}: this is not JSON ({error.msg}); give a profile that a profiler wrote") from None
    except (RecursionError, ValueError):
        raise ProfileError(
            f"{path} nests lists or writes numbers as no profiler does; give a profile that a profiler wrote"
        ) from None
    return value
