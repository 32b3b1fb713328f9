"""The files that an answer goes to, one writer per format."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from headroom.advise.analysis import Analysis
from headroom.errors import UsageError
from headroom.files import write_whole
from headroom.report.answer import to_json
from headroom.report.csv_table import csv_chunks
from headroom.report.trace import trace_chunks

Writer = Callable[[Sequence[Analysis]], str | Iterable[str]]

STDOUT = Path("-")


def _html(analyses: Sequence[Analysis]) -> str:
    # The template and the chart script are only loaded when a report is asked for.
    from headroom.report.html import render_html

    return render_html(analyses)


#: Format, as the command line's option is called, and what renders it.
WRITERS: Mapping[str, Writer] = {"json": to_json, "html": _html, "csv": csv_chunks, "trace": trace_chunks}


def chosen(model: str, **paths: Path | None) -> dict[str, Path]:
    """The formats that were asked for, checked before any work is done.

    Raises:
        UsageError: an output would overwrite the model, or two would overwrite each other.
    """
    wanted = {name: path for name, path in paths.items() if path is not None}
    taken: dict[str, str] = {}
    for name, path in wanted.items():
        place = "-" if path == STDOUT else os.path.realpath(path)
        if place == os.path.realpath(model):
            raise UsageError(f"--{name} {path} is the model itself; choose another path")
        if place in taken:
            raise UsageError(f"--{name} and --{taken[place]} both write to {path}; choose another path for one")
        taken[place] = name
    return wanted


def write_outputs(analyses: Sequence[Analysis], paths: Mapping[str, Path]) -> None:
    """Write each format to its path, whole or not at all; ``-`` is standard output.

    Raises:
        UsageError: a place cannot be written.
    """
    for name, path in paths.items():
        content = WRITERS[name](analyses)
        if path == STDOUT:
            sys.stdout.writelines([content] if isinstance(content, str) else content)
        else:
            write_whole(path, content)
