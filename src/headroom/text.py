"""Making a stranger's text harmless before anyone sees it. Every output goes through here.

Names come from model files. Left alone, an ANSI sequence repaints a terminal, a right-to-left mark makes
``exe.cnv`` of ``vnc.exe``, a lone surrogate cannot be written as UTF-8, and a line separator ends a string
in old JavaScript.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

#: Longest name that a view shows, in characters. JSON keeps names in full.
VIEW_LIMIT = 160

ELLIPSIS = "…"

#: Digits of the largest number that anything here counts, with room to spare.
_MOST_DIGITS = 30

#: Whole escape sequences (CSI, then OSC and its like up to their terminator), so that no tail of one is left.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)

#: Controls, invisible format characters (bidirectional and zero-width marks), surrogates, line separators.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def clean(text: str) -> str:
    """``text`` without control characters, escape sequences and invisible marks; line breaks become spaces.

    >>> clean("conv\\x1b[31m1\\u202e\\n2")
    'conv1 2'
    """
    if text.isprintable():
        return text
    text = _ESCAPES.sub("", text)
    return "".join(_harmless(character) for character in text)


def clean_all(texts: Iterable[str]) -> list[str]:
    return [clean(text) for text in texts]


def clean_lines(text: str) -> str:
    """``text`` as :func:`clean` makes it, line by line: for code, whose breaks and indentation count.

    >>> clean_lines("with graph:\\n\\tout = model(x)\\x1b[31m")
    'with graph:\\n    out = model(x)'
    """
    return "\n".join(clean(line.expandtabs(4)).rstrip() for line in text.strip("\r\n").splitlines())


def view(text: str, limit: int = VIEW_LIMIT) -> str:
    """``text`` cleaned and cut to ``limit`` characters, with an ellipsis in the middle where it was longer.

    Both ends of a layer's name matter: the module path at the front, the number at the back.

    >>> view("backbone.stage1.block0.conv2", 16)
    'backbone…0.conv2'
    """
    # A name of a megabyte is cut before it is cleaned; the slack covers what cleaning removes.
    if len(text) > 16 * limit:
        text = text[: 8 * limit] + text[-8 * limit :]
        return _cut(clean(text), limit, force=True)
    return _cut(clean(text), limit)


def _cut(text: str, limit: int, *, force: bool = False) -> str:
    if len(text) <= limit and not force:
        return text
    tail = (limit - 1) // 2
    head = limit - 1 - tail
    return text[:head] + ELLIPSIS + text[-tail:] if tail else text[:head] + ELLIPSIS


def _harmless(character: str) -> str:
    if character in "\t\n\v\f\r\x85\u2028\u2029":
        return " "
    return "" if unicodedata.category(character) in _UNSAFE_CATEGORIES else character


def plain_line(text: str, characters: int = 200) -> str:
    """``text`` as one line of printable characters, at most ``characters`` long: for sentences that quote it.

    >>> plain_line("conv\\x1b[31m1\\n  \\u202eexe")
    'conv1 exe'
    """
    line = "".join(character if character.isprintable() else " " for character in view(text, 4 * characters))
    return view(" ".join(line.split()), characters)


def whole_number(text: str) -> int | None:
    """``text`` as a whole number that is not negative; ``None`` for anything else, and for one of too many digits.

    Python refuses to read thousands of digits with an error of its own.

    >>> whole_number("64"), whole_number("-1"), whole_number("9" * 5000)
    (64, None, None)
    """
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else None
