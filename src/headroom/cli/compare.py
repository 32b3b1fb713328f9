"""``headroom compare``: two answers side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    a: Annotated[Path, typer.Argument(help="An answer written by analyze --json.")],
    b: Annotated[Path, typer.Argument(help="Another one.")],
) -> None:
    """Two answers side by side: bounds, and the layers that moved most.

    Example: `headroom compare before.json after.json`
    """
    from headroom.cli.screen import Screen
    from headroom.report.compare import compare_files
    from headroom.report.compare_terminal import render_comparison

    render_comparison(compare_files(a, b), Screen())
