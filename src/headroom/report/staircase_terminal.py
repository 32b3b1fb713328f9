"""Staircases in a terminal: per layer its steps and the widths worth having."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from headroom.change.widths.staircase.reading import Reading
from headroom.change.widths.staircase.study import Study
from headroom.report.staircase_words import HEADS, rows, stands, summary, title
from headroom.text import view


def render(answer: Study, console: Console) -> None:
    """Every staircase of ``answer``."""
    head = f"{view(answer.model, 80)} on {view(answer.gpu.name, 40)}, {answer.dtype.value}, L2 {answer.l2}"
    console.print(Text(head, style="bold"))
    if answer.system is not None and answer.asks_measurements:
        console.print(Text(f"Measured times are those of {view(answer.system, 120)}.", style="dim"))
    for each in answer.layers:
        for reading in each.readings:
            console.print()
            console.print(Text(title(each, reading), style="bold"))
            if sentence := stands(each, reading):
                console.print(Text(sentence))
            console.print(_table(reading))
            for line in summary(reading):
                console.print(Text(line, style="dim"))
    for note in answer.notes:
        console.print(Text(view(note, 400), style="dim"))


def _table(reading: Reading) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    for position, name in enumerate(HEADS):
        is_word = name in ("trend", "from") or position == 0
        table.add_column(name, justify="left" if is_word else "right", overflow="fold", no_wrap=name != "latency")
    for row in rows(reading):
        table.add_row(*row)
    return table
