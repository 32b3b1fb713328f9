"""The files that an answer goes to, one writer per format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from headroom.advise.analysis import Analysis
from headroom.files import write_to
from headroom.report.answer import to_json
from headroom.report.csv_table import csv_chunks
from headroom.report.trace import trace_chunks

Writer = Callable[[Sequence[Analysis]], str | Iterable[str]]


def _html(analyses: Sequence[Analysis]) -> str:
    # The template and the chart script are only loaded when a report is asked for.
    from headroom.report.html import render_html

    return render_html(analyses)


#: Format, as the command line's option is called, and what renders it.
WRITERS: Mapping[str, Writer] = {"json": to_json, "html": _html, "csv": csv_chunks, "trace": trace_chunks}


def write_outputs(analyses: Sequence[Analysis], paths: Mapping[str, Path]) -> None:
    """Write each format to its path, whole or not at all; ``-`` is standard output.

    Raises:
        UsageError: a place cannot be written.
    """
    for name, path in paths.items():
        write_to(path, WRITERS[name](analyses))
