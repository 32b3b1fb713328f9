"""The advisor's answers as JSON: what each page of the report shows, for programs."""

from __future__ import annotations

from typing import Any

from headroom.advise.analysis import Analysis
from headroom.advise.questions.answer import Answer, Cell, Lines, Table, Waterfall
from headroom.figures import rounded
from headroom.text import clean, clean_all


def asked(analysis: Analysis) -> list[dict[str, Any]]:
    """Every question with its answer; ``findings`` are places among the analysis' own, which leave out small ones."""
    places = {finding: place for place, finding in enumerate(analysis.findings)}
    return [_answer(answer, places) for answer in analysis.questions]


def _answer(answer: Answer, places: dict[Any, int]) -> dict[str, Any]:
    return {
        "number": answer.number,
        "question": clean(answer.question),
        "sentence": clean(answer.sentence),
        "needs": clean(answer.needs),
        "findings": [places[finding] for finding in answer.findings if finding in places],
        "tables": [_table(table) for table in answer.tables],
        "charts": [_chart(chart) for chart in answer.charts],
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "title": clean(table.title),
        "heads": clean_all(table.heads),
        "rows": [[_cell(cell) for cell in row] for row in table.rows],
        "note": clean(table.note),
    }


def _cell(cell: Cell) -> Cell:
    if isinstance(cell, str):
        return clean(cell)
    return rounded(cell) if isinstance(cell, float) else cell


def _chart(chart: Lines | Waterfall) -> dict[str, Any]:
    title = clean(chart.title)
    if isinstance(chart, Waterfall):
        return {"kind": "waterfall", "title": title, "steps": [[clean(name), rounded(us)] for name, us in chart.steps]}
    series = [
        {"name": clean(name), "points": [[rounded(x), rounded(y)] for x, y in points]} for name, points in chart.series
    ]
    return {"kind": "lines", "title": title, "x": clean(chart.x), "y": clean(chart.y), "series": series}
