"""The files that an exploration goes to, one writer per format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from headroom.files import write_to
from headroom.predict.explore.explore import Exploration
from headroom.report.exploration import csv_chunks, json_chunks

Writer = Callable[[Exploration], str | Iterable[str]]


def _html(explored: Exploration) -> str:
    # The template and the chart script are only loaded when a page is asked for.
    from headroom.report.html.exploration import render_exploration

    return render_exploration(explored)


#: Format, as the command line's option is called, and what renders it.
WRITERS: Mapping[str, Writer] = {"json": json_chunks, "html": _html, "csv": csv_chunks}


def write_outputs(explored: Exploration, paths: Mapping[str, Path]) -> None:
    """Write each format to its path, whole or not at all; ``-`` is standard output.

    Raises:
        UsageError: a place cannot be written.
    """
    for name, path in paths.items():
        write_to(path, WRITERS[name](explored))
