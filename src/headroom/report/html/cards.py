"""Findings as cards: what it saves, what to do, the lines to copy, what cannot be had, and where."""

from __future__ import annotations

import re
from dataclasses import dataclass

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.text import clean_lines, view

_PLACES_SHOWN = 4
_PLACES_LISTED = 200

#: Longest piece of code on a card, in characters: a page of a screen.
_CODE_LIMIT = 4000

#: The spaces of a figure: before its unit, and around the sign of its error bar.
_INSIDE_A_FIGURE = re.compile(r"(?<=\d) (?=(?:[nµm]?s|%|[kMGT]i?B|TFLOP/s)(?!\w))| (?=± ?\d)|(?<=±) (?=\d)")


@dataclass(frozen=True, slots=True)
class FindingCard:
    """A finding, ready to print: every second part of ``action`` and ``limits`` is code.

    ``code`` is to be copied as it stands, line breaks included. ``question`` is the number of the question that found
    it, ``None`` where that is not known. ``places`` are the user's modules, or the layers where modules are unknown.
    """

    kind: str
    title: str
    saves: str
    error: str
    source: str
    speedup: str
    action: tuple[str, ...]
    code: str
    limits: tuple[str, ...]
    question: int | None
    places: tuple[str, ...]
    more_places: tuple[str, ...]
    unlisted: int


def finding_card(finding: Finding, question: int | None = None) -> FindingCard:
    """The card of ``finding``; ``question`` is the number of the question whose answer it belongs to."""
    names = list(dict.fromkeys(name for name in (finding.modules or finding.layers) if name))
    places = tuple(view(name, 100) for name in names[:_PLACES_LISTED])
    return FindingCard(
        kind=view(finding.kind, 60).replace("_", " "),
        title=view(finding.title, 300),
        saves=figures.time(finding.saves_us, finding.error_pct),
        error=figures.error(finding.error_pct),
        source=finding.source.value,
        speedup=figures.ratio(finding.speedup),
        action=with_code(view(finding.action, 1000)),
        code=clean_lines(finding.code[:_CODE_LIMIT]),
        limits=with_code(view(finding.limits, 1000)) if finding.limits else (),
        question=question,
        places=places[:_PLACES_SHOWN],
        more_places=places[_PLACES_SHOWN:],
        unlisted=max(0, len(names) - _PLACES_LISTED),
    )


def with_code(sentence: str) -> tuple[str, ...]:
    """A sentence cut at its backquotes, whole where they do not pair; a figure keeps its unit and error bar."""
    parts = tuple(sentence.split("`"))
    if not len(parts) % 2:
        return (_together(sentence),)
    return tuple(part if position % 2 else _together(part) for position, part in enumerate(parts))


def _together(text: str) -> str:
    """``text`` whose lines do not break inside ``3.39 ms ± 3.9 %``."""
    return _INSIDE_A_FIGURE.sub("\N{NO-BREAK SPACE}", text)
