"""An exploration in a terminal: the base, the designs worth looking at, and what limits each."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from headroom import figures
from headroom.predict.explore.explore import Exploration, shares_of
from headroom.predict.explore.figures import Figures
from headroom.report.exploration import notes_of
from headroom.text import view

#: Designs that a terminal shows; files hold them all.
_MOST_ROWS = 20

#: Bottlenecks named per design: further ones hold little.
_MOST_LIMITS = 2


def render(explored: Exploration, console: Console) -> None:
    """The table of the front, or without costs of the fastest designs."""
    graph = explored.graph
    title = f"{view(graph.name, 40)}, batch {graph.batch}, {explored.dtype.value}, from {view(explored.gpu.name, 40)}"
    console.print(Text(title, style="bold"))
    base = explored.base
    error = 100.0 * float(base.error_us[0] / base.time_us[0])
    console.print(Text(f"As it is: {_time(float(base.time_us[0]), error)}, limited by {_limits(base, 0)}."))
    rows, words = shown(explored)
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("design", overflow="fold")
    for heading in ("time", "speed-up", *(["cost"] if explored.costs is not None else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("limited by", overflow="fold")
    for at in rows:
        cells: list[Text | str] = [
            Text(view(explored.space.name(int(explored.possible[at])), 80)),
            _time(float(explored.figures.time_us[at]), float(explored.error_pcts[at])),
            f"{explored.speedups[at]:.2f}x",
        ]
        if explored.costs is not None:
            cells.append(figures.significant(float(explored.costs[at]), figures.VIEW_DIGITS))
        table.add_row(*cells, _limits(explored.figures, at))
    console.print(table)
    console.print(Text(words, style="dim"))
    for note in notes_of(explored):
        console.print(Text(view(note, 400), style="dim"))


def shown(explored: Exploration) -> tuple[list[int], str]:
    """Which designs a short answer shows (the front in order of cost, or the fastest), and a sentence that says so."""
    count = len(explored)
    if explored.on_front is None or explored.costs is None:
        rows = [int(at) for at in explored.by_time[:_MOST_ROWS]]
        which = f"The fastest {len(rows)} of {count} designs" if count > len(rows) else "All designs, the fastest first"
        return rows, f"{which}. A cost function (--cost) finds those that are worth their price."
    front = [int(at) for at in explored.by_time[::-1] if explored.on_front[at]]
    front.sort(key=lambda at: float(explored.costs[at]) if explored.costs is not None else 0.0)
    unit = f" in {view(explored.cost.unit, 20)}" if explored.cost and explored.cost.unit else ""
    # Both ends of a long front, evenly thinned between.
    step = max(1.0, (len(front) - 1) / (_MOST_ROWS - 1))
    rows = [front[round(i * step)] for i in range(min(len(front), _MOST_ROWS))]
    thinned = f", {len(rows)} of them shown" if len(rows) < len(front) else ""
    return rows, f"The Pareto front: {len(front)} of {count} designs{thinned}; none is as fast for less (cost{unit})."


def _time(time_us: float, error_pct: float) -> str:
    return figures.time(time_us) if error_pct != error_pct else figures.time_with_error(time_us, error_pct)


def _limits(found: Figures, at: int) -> str:
    """The bottlenecks that hold most of the time: ``compute 84 %, L2 bandwidth 8 %``."""
    shares = list(shares_of(found, at).items())[:_MOST_LIMITS]
    return ", ".join(f"{limit.value} {figures.percent(share)}" for limit, share in shares)
