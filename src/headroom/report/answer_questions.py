"""The advisor's part of the JSON answer: findings, the questions behind them, and the run they are about."""

from __future__ import annotations

from typing import Any

from headroom.advise.analysis import Finding
from headroom.advise.execution import Execution
from headroom.advise.latency import latency_of
from headroom.advise.questions.answer import Answer, Cell, Lines, Table, Waterfall
from headroom.figures import rounded
from headroom.text import clean, clean_all, clean_lines


def finding_dict(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "title": clean(finding.title),
        "saves_us": rounded(finding.saves_us),
        "error_pct": rounded(finding.error_pct),
        "source": finding.source.value,
        "speedup": rounded(finding.speedup),
        "layers": clean_all(finding.layers),
        "modules": clean_all(finding.modules),
        "action": clean(finding.action),
        "code": clean_lines(finding.code),
        "limits": clean(finding.limits),
    }


def question_dict(answer: Answer) -> dict[str, Any]:
    """One question with its answer, its findings whole, so that it can be read by itself."""
    return {
        "number": answer.number,
        "question": clean(answer.question),
        "sentence": clean(answer.sentence),
        "findings": [finding_dict(finding) for finding in answer.findings],
        "tables": [_table(table) for table in answer.tables],
        "charts": [_chart(chart) for chart in answer.charts],
        "needs": clean(answer.needs),
    }


def profile_dict(execution: Execution) -> dict[str, Any]:
    """The user's run: where it was read from, what it took, and how much of it is known by layer."""
    step, latency = execution.step, latency_of(execution, ())
    return {
        "file": clean(execution.profile.title),
        "recorder": clean(execution.profile.recorder),
        "gpu": clean(execution.profile.gpu),
        "steps": len(execution.profile.steps),
        "latency_us": rounded(execution.latency_us),
        "unrecorded": None if latency is None else "measured" if latency.is_measured else "estimated",
        "gpu_busy_us": rounded(step.gpu_busy_us),
        "launches": len(step.launches),
        "matched_share": rounded(execution.matched_share),
        "explained_share": rounded(execution.explained_share),
        "dtype": None if execution.dtype is None else execution.dtype.value,
        "channels_last": execution.channels_last,
        "notes": clean_all((*execution.profile.notes, *execution.notes)),
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "title": clean(table.title),
        "heads": clean_all(table.heads),
        "rows": [[_cell(cell) for cell in row] for row in table.rows],
        "note": clean(table.note),
    }


def _cell(cell: Cell) -> str | float | int | None:
    if isinstance(cell, str):
        return clean(cell)
    return rounded(cell) if isinstance(cell, float) else cell


def _chart(chart: Lines | Waterfall) -> dict[str, Any]:
    if isinstance(chart, Waterfall):
        steps = [{"name": clean(name), "left_us": rounded(left_us)} for name, left_us in chart.steps]
        return {"kind": "waterfall", "title": clean(chart.title), "steps": steps}
    series = [
        {"name": clean(name), "points": [[rounded(x), rounded(y)] for x, y in points]} for name, points in chart.series
    ]
    return {"kind": "lines", "title": clean(chart.title), "x": clean(chart.x), "y": clean(chart.y), "series": series}
