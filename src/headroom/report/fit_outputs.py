"""The files that a plan of widths goes to, one writer per format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from headroom.change.widths.fit.plan import Plan
from headroom.files import write_to
from headroom.report.fit import to_json


def _html(plan: Plan) -> str:
    # The template and the chart script are only loaded when a page is asked for.
    from headroom.report.html.fit import render_fit

    return render_fit(plan)


#: Format, as the command line's option is called, and what renders it.
WRITERS: Mapping[str, Callable[[Plan], str]] = {"json": to_json, "html": _html}


def write_outputs(plan: Plan, paths: Mapping[str, Path]) -> None:
    """Write each format to its path, whole or not at all; ``-`` is standard output.

    Raises:
        UsageError: a place cannot be written.
    """
    for name, path in paths.items():
        write_to(path, WRITERS[name](plan))
