"""The answer to one question: a sentence, findings, and the tables and charts that show why."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.advise.analysis import Finding

#: A cell: text, or a number in the unit that the column's head names; ``None`` is unknown.
Cell = str | float | int | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under heads. A head carries the unit (``time us``); ``note`` stands below."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    """A chart of lines over a common axis: ``series`` maps a name to (x, y) points."""

    title: str
    x: str
    y: str
    series: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]


@dataclass(frozen=True, slots=True)
class Waterfall:
    """From what is to what could be: each step's name with the latency in us that is left after it.

    The first step is the start and takes nothing off.
    """

    title: str
    steps: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a page of the report shows.

    ``sentence`` answers in plain words, for a reader who never heard of LBL. ``needs`` says what is missing for a
    better answer (a profile, measurements) and how to get it; empty where nothing is.
    """

    number: int
    question: str
    sentence: str
    findings: tuple[Finding, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Lines | Waterfall, ...] = ()
    needs: str = ""
