"""Text that came from a stranger, made safe to print."""

from __future__ import annotations

import unicodedata

#: Unicode categories that a terminal acts on instead of showing: controls, formats (bidirectional marks),
#: surrogates, private use, unassigned, line and paragraph separators.
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain_line(text: str, characters: int = 200) -> str:
    """``text`` as one line of printable characters, at most ``characters`` long.

    What is not printable becomes a space (runs of white space become one), what is too long is cut in the
    middle, where names differ least.

    >>> plain_line("conv\\x1b[31m1\\n\\u202eexe")
    'conv [31m1 exe'
    >>> plain_line("abcdefghij", characters=5)
    'ab…ij'
    """
    head = text[: 4 * characters] + text[4 * characters :][-4 * characters :]
    if not (head.isascii() and head.isprintable()):
        head = "".join(" " if unicodedata.category(character) in _UNSHOWN else character for character in head)
    line = " ".join(head.split())
    if len(line) <= characters and len(text) <= 8 * characters:
        return line
    keep = (characters - 1) // 2
    return f"{line[:keep]}…{line[-keep:]}"
