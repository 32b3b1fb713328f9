"""A plan for synapse vectors in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from headroom.change.synapses.planning.applied import Applied
from headroom.change.synapses.planning.study import Study
from headroom.report.slim_words import FRONT_HEADS, HEADS, done, front_rows, head, judged, rows, sentences, verdict


def render(study: Study, console: Console, applied: Applied | None = None) -> None:
    """The chosen point layer by layer, the front, and what has to be said."""
    console.print(Text(head(study), style="bold"))
    if study.system is not None:
        console.print(Text(f"Measured times are those of {study.system}.", style="dim"))
    console.print(Text(verdict(study)))
    console.print()
    console.print(_table(HEADS, rows(study)))
    console.print()
    console.print(_table(FRONT_HEADS, front_rows(study)))
    console.print()
    for line in (judged(study), *sentences(study)):
        console.print(Text(line, style="dim"))
    for line in done(study, applied) if applied else ():
        console.print(Text(line))


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    for name in heads:
        is_word = name in ("layer", "grain", "from")
        table.add_column(name, justify="left" if is_word else "right", overflow="fold")
    for line in lines:
        table.add_row(*line)
    return table
