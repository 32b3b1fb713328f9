"""A plan of widths in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from headroom.change.widths.fit.plan import Plan
from headroom.report.fit_words import GROUP_HEADS, LAYER_HEADS, compared, group_rows, layer_rows, sentences, verdict
from headroom.text import view

if TYPE_CHECKING:
    from headroom.change.widths.fit.applying import Applied


def render(plan: Plan, console: Console) -> None:
    """The plan: groups, layers, and what it comes to."""
    clock = plan.space.clock
    graph = plan.space.network.graph
    head = f"{view(graph.name, 80)} at batch {graph.batch} on {view(clock.gpu.name, 40)}, {clock.dtype.value}, "
    console.print(Text(f"{head}L2 {clock.l2}, goal {plan.goal.name}", style="bold"))
    if clock.measurements is not None and plan.asks_measurements:
        console.print(Text(f"Measured times are those of {view(clock.measurements.system.title, 120)}.", style="dim"))
    console.print()
    if rows := group_rows(plan):
        console.print(_table(GROUP_HEADS, rows, numbers=(1, 2, 3, 4)))
        console.print()
    if plan.widths:
        _print_layers(layer_rows(plan), console)
        console.print()
    console.print(Text(verdict(plan), style="bold"))
    for sentence in sentences(plan):
        console.print(Text(sentence, style="dim"))


def _print_layers(rows: Sequence[Sequence[str]], console: Console) -> None:
    """Where all times come from one place, a line says so: 80 columns have no room for a column of it."""
    places = {row[-1] for row in rows} - {""}
    if len(places) > 1:
        console.print(_table(LAYER_HEADS, rows, whole=(4, 5, 6)))
        return
    console.print(_table(LAYER_HEADS[:-1], [row[:-1] for row in rows], whole=(4, 5)))
    for place in places:
        console.print(Text(f"All these times are {place}.", style="dim"))


def render_applied(applied: Applied | None, console: Console) -> None:
    """What became of it; ``None`` where the plan does not help."""
    if applied is not None and applied.comparison is not None:
        console.print(Text(compared(applied.comparison)))
    if applied is not None and applied.score is not None:
        console.print(Text(f"After training it scores {applied.score:g}."))
    paths = () if applied is None else applied.paths
    for path in paths:
        console.print(Text(f"Written: {view(str(path), 200)}"))
    if not paths:
        console.print(Text("Nothing was written."))


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = (), whole: Sequence[int] = ()
) -> Table:
    """``numbers`` are columns that end alike, ``whole`` those whose cells stay on one line."""
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    for position, name in enumerate(heads):
        side: JustifyMethod = "right" if position in numbers else "left"
        table.add_column(name, justify=side, overflow="fold", no_wrap=position in whole)
    for row in rows:
        table.add_row(*row)
    return table
