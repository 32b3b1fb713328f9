"""Reading a user's small TOML file: capped in size, never anything but a plain file, every fault a sentence."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from headroom.errors import UsageError
from headroom.text import plain_line

#: Such a file is a page of text; anything larger is some other file.
MAX_FILE_BYTES = 64 * 1024
#: The TOML reader takes time in the square of a key's dots, so that one long line could occupy it for minutes.
MAX_LINE_CHARACTERS = 4096


def read_toml_text(path: Path, where: str, wanted: str) -> str:
    """The text of ``path``; ``where`` opens every error sentence, ``wanted`` says what to give instead.

    Raises:
        UsageError: the file is absent, no plain file, too large, unreadable or not UTF-8.
    """
    try:
        if not path.is_file():  # opening a pipe or a device could wait for ever
            raise UsageError(f"{where}: no such file; expected {wanted}")
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{where}: cannot be read ({error.strerror}); check its name and permissions") from error
    if len(content) > MAX_FILE_BYTES:
        raise UsageError(f"{where}: larger than {MAX_FILE_BYTES} bytes; it should be a page of TOML")
    try:
        return content.decode("utf-8-sig")  # some editors begin a file with a byte-order mark
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: not UTF-8 at byte {error.start}; expected a TOML text file") from error


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        UsageError: it is no TOML, has an endless line, or is nested too deeply.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > MAX_LINE_CHARACTERS:
            raise UsageError(f"{where}: line {number} is longer than {MAX_LINE_CHARACTERS} characters; shorten it")
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, and int() on thousands of digits
        raise UsageError(f"{where}: not valid TOML: {plain_line(str(error))}; correct that line") from error
    except RecursionError as error:
        raise UsageError(f"{where}: nested too deeply; it should be a few flat tables") from error
