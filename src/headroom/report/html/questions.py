"""The advisor's answers as the template reads them: a page per question, in words that need no glossary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from headroom import figures
from headroom.advise.questions.answer import Answer, Lines, Table, Waterfall
from headroom.report.cells import cell_text, label_and_unit, number_columns, titled
from headroom.report.html.cards import FindingCard, finding_card, with_code
from headroom.report.html.charts import BarChart, LineChart
from headroom.report.html.lines import line_chart
from headroom.report.html.waterfall import waterfall_chart
from headroom.text import view

#: Findings of a question that are shown at once; a reader who wants the smaller ones opens them.
_CARDS_SHOWN = 5

#: Rows of one table. What is beyond is in the JSON answer, and the page says so.
_ROWS_SHOWN = 500

#: Columns, and columns of text among them, from which on a table is crowded.
_CROWDED, _CROWDED_TEXTS = 7, 3

#: What the navigation calls a question, by its number.
_LABELS = {
    1: "How low", 2: "Parallel", 3: "Algorithms", 4: "Framework", 5: "Fusion", 6: "Tensor cores", 7: "All together",
    8: "Libraries", 9: "Which GPU",
}  # fmt: skip

#: The words of the answers, for a reader who meets them for the first time.
WORDS = (
    ("Layer", "One step of the model, a convolution for example; the names are those in your own model."),
    ("Kernel", "A program that the GPU is given to run; a layer takes one or several of them."),
    ("Lower bound (LBL)", "The sum of all layers' times, each at the fastest implementation there is: what the model "
     "could take with nothing lost between or inside the layers."),
    ("Speed of light", "The time that arithmetic and memory alone would take on this GPU; no kernel that does the same "
     "arithmetic gets below it."),
    ("Measured", "Timed on a GPU of this kind; its error bar is what timing it again may change."),
    ("Predicted", "Worked out by theory, for what was not timed; its error bar is how far theory is off on layers that "
     "were."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Head:
    """A column: its words, its unit, and whether it holds numbers."""

    label: str
    unit: str
    number: bool


@dataclass(frozen=True, slots=True)
class TableView:
    """A table of an answer: ``rows`` are text, every second part of a cell is code. ``left_out`` rows are not shown.

    ``crowded`` says that it has so many columns of text that each has to be narrow.
    """

    title: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[tuple[str, ...], ...], ...]
    note: tuple[str, ...]
    left_out: int
    crowded: bool


@dataclass(frozen=True, slots=True)
class QuestionView:
    """An answer as the template reads it. Every second part of ``sentence``, ``rest`` and ``needs`` is code.

    ``sentence`` is what the answer says first and ``rest`` what follows; ``best`` is the largest single saving, empty
    where there is none.
    """

    number: int
    label: str
    question: str
    sentence: tuple[str, ...]
    rest: tuple[str, ...]
    best: str
    cards: tuple[FindingCard, ...]
    more_cards: tuple[FindingCard, ...]
    tables: tuple[TableView, ...]
    charts: tuple[BarChart | LineChart, ...]
    needs: tuple[str, ...]


def question_views(answers: Sequence[Answer]) -> tuple[QuestionView, ...]:
    """The answers in the order of their numbers."""
    return tuple(_view(answer) for answer in sorted(answers, key=lambda answer: answer.number))


def _view(answer: Answer) -> QuestionView:
    ranked = sorted(answer.findings, key=lambda finding: -finding.saves_us)
    cards = tuple(finding_card(finding) for finding in ranked)
    first, rest = _first_sentence(view(answer.sentence, 1500))
    return QuestionView(
        number=answer.number,
        label=_LABELS.get(answer.number, f"Question {answer.number}"),
        question=view(answer.question, 200),
        sentence=with_code(first),
        rest=with_code(rest) if rest else (),
        best=figures.time(ranked[0].saves_us, ranked[0].error_pct) if ranked else "",
        cards=cards[:_CARDS_SHOWN],
        more_cards=cards[_CARDS_SHOWN:],
        tables=tuple(_table(table) for table in answer.tables),
        charts=tuple(_chart(chart, f"q{answer.number}-chart{at}") for at, chart in enumerate(answer.charts)),
        needs=with_code(view(answer.needs, 600)) if answer.needs else (),
    )


def _first_sentence(text: str) -> tuple[str, str]:
    """The first sentence, which the page prints large, and the others. A full stop inside code ends nothing."""
    for end in re.finditer(r"[.!?] (?=[A-Z0-9])", text):
        if text[: end.start()].count("`") % 2 == 0:
            return text[: end.start() + 1], text[end.end() :]
    return text, ""


def _chart(chart: Lines | Waterfall, key: str) -> BarChart | LineChart:
    return line_chart(chart, key) if isinstance(chart, Lines) else waterfall_chart(chart, key)


def _table(table: Table) -> TableView:
    # A column of which nothing is known says nothing; the JSON answer keeps it.
    shown = [at for at in range(len(table.heads)) if any(row[at] is not None for row in table.rows)]
    numbers = [number for at, number in enumerate(number_columns(table)) if at in shown]
    heads = [label_and_unit(table.heads[at]) for at in shown]
    return TableView(
        title=view(table.title, 200),
        heads=tuple(Head(titled(label), unit, number) for (label, unit), number in zip(heads, numbers, strict=True)),
        rows=tuple(tuple(with_code(cell_text(row[at])) for at in shown) for row in table.rows[:_ROWS_SHOWN]),
        note=with_code(view(table.note, 600)) if table.note else (),
        left_out=max(0, len(table.rows) - _ROWS_SHOWN),
        crowded=len(heads) >= _CROWDED and numbers.count(False) >= _CROWDED_TEXTS,
    )
