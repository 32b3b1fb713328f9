"""What a served page shows, as data; ``served.html.j2`` only draws it, and every text in it is escaped there."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.report.html.charts import BarChart, LineChart
from headroom.text import view


@dataclass(frozen=True)
class Link:
    """Words, and where they lead; a path of this site, made of our own words and of digests."""

    text: str
    href: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells; a cell without ``href`` is plain text."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Link, ...], ...]


@dataclass(frozen=True)
class Section:
    """A part of a page, with whatever of a chart, a table and links to further pages it has."""

    title: str
    note: str = ""
    bars: BarChart | None = None
    lines: LineChart | None = None
    table: Table | None = None
    pages: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Choice:
    """One of several options of a form."""

    name: str
    label: str
    options: tuple[str, ...]
    chosen: str


@dataclass(frozen=True)
class Form:
    """A search: its words, and what else can be chosen."""

    action: str
    words: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Page:
    """All of it."""

    title: str
    sections: tuple[Section, ...] = ()
    note: str = ""
    chips: tuple[str, ...] = ()
    crumbs: tuple[Link, ...] = (Link("Systems", "/"), Link("Models", "/models"))
    form: Form | None = None


def cells(*texts: str, href: str = "") -> tuple[Link, ...]:
    """A row whose first cell leads to ``href``; a stranger's text is cleaned and cut."""
    first, *rest = (view(text) for text in texts)
    return (Link(first, href), *(Link(text) for text in rest))
