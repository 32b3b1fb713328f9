"""What the address of a page asks for, checked: whatever does not fit is refused with a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from headroom.errors import HeadroomError, UsageError
from headroom.graph.tensor import DataType
from headroom.text import clean, plain_line, whole_number

L2_STATES = ("warm", "cold")

#: Rows of a page, and pages that can be asked for.
PAGE_ROWS = 50
_MOST_PAGES = 1000

_MOST_CHARACTERS, _MOST_WORDS = 100, 6

_HEX = re.compile(r"[0-9a-f]{4,32}")


class NotThere(HeadroomError):  # noqa: N818 - what was found, as a page says it
    """What is asked for by name is not in the database; the database itself is well."""


@dataclass(frozen=True)
class Asked:
    """Which rows, by words, data type and state of the L2 cache, and which page of them."""

    words: tuple[str, ...] = ()
    dtype: DataType | None = None
    l2: str = "warm"
    page: int = 1

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Asked:
        """What the query of an address asks for.

        Raises:
            UsageError: a value that is none.
        """
        text = clean(query.get("q", ""))
        if len(text) > _MOST_CHARACTERS or len(text.split()) > _MOST_WORDS:
            raise UsageError(f"a search has at most {_MOST_WORDS} words and {_MOST_CHARACTERS} characters")
        dtype, l2, page = query.get("dtype", ""), query.get("l2", "warm"), whole_number(query.get("page", "1"))
        if dtype and dtype not in tuple(DataType):
            raise UsageError(f"dtype is {plain_line(dtype, 20)!r}: expected one of {', '.join(DataType)}")
        if l2 not in L2_STATES:
            raise UsageError(f"l2 is {plain_line(l2, 20)!r}: expected {' or '.join(L2_STATES)}")
        if page is None or not 1 <= page <= _MOST_PAGES:
            raise UsageError(f"page is a whole number from 1 to {_MOST_PAGES}")
        return cls(tuple(text.split()), DataType(dtype) if dtype else None, l2, page)

    @property
    def first(self) -> int:
        """Place of the first row of the page."""
        return (self.page - 1) * PAGE_ROWS

    def query(self, page: int | None = None) -> str:
        """The end of an address that asks for this, or for another page of it."""
        values = {"q": " ".join(self.words), "dtype": str(self.dtype or ""), "l2": self.l2, "page": str(page or 1)}
        return "?" + urlencode({name: value for name, value in values.items() if value})


def checked_id(text: str) -> str:
    """``text``, which is a system's id or a chain's digest by its looks.

    Raises:
        UsageError: it is neither.
    """
    if not _HEX.fullmatch(text):
        raise UsageError("an id is 4 to 32 hexadecimal digits")
    return text
