"""The files that a study of staircases goes to, one writer per format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from headroom.change.widths.staircase.study import Study
from headroom.files import write_to
from headroom.report.staircase import to_json

Writer = Callable[[Study], str]


def _html(answer: Study) -> str:
    # The template and the chart script are only loaded when a page is asked for.
    from headroom.report.html.staircase import render_staircases

    return render_staircases(answer)


#: Format, as the command line's option is called, and what renders it.
WRITERS: Mapping[str, Writer] = {"json": to_json, "html": _html}


def write_outputs(answer: Study, paths: Mapping[str, Path]) -> None:
    """Write each format to its path, whole or not at all; ``-`` is standard output.

    Raises:
        UsageError: a place cannot be written.
    """
    for name, path in paths.items():
        write_to(path, WRITERS[name](answer))
