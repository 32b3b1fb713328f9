"""A comparison in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from headroom import figures
from headroom.report.compare import Comparison, Figure, Mover
from headroom.report.summary import named
from headroom.text import view

_TOP_MOVERS = 12
_TOP_KINDS = 6
_NAMES_SHOWN = 6


def render_comparison(comparisons: Sequence[Comparison], console: Console) -> None:
    """Print what moved: verdict first, then bounds, kinds, layers, and what only one answer has."""
    for comparison in comparisons:
        console.print(_comparison(comparison))


def verdict(comparison: Comparison) -> str:
    """The sequential bound's change in one sentence, and per sample where the batches differ."""
    figure = next(f for f in comparison.bounds if f.label == "Sequential")
    sentence = _moved(figure)
    if comparison.a_batch == comparison.b_batch or not figure.ratio:
        return sentence
    per_sample = figures.ratio(comparison.b_batch / comparison.a_batch / figure.ratio)
    return (
        f"{sentence} The batches differ ({comparison.a_batch} in A, {comparison.b_batch} in B): "
        f"B runs {per_sample} as many samples in the same time."
    )


def _moved(figure: Figure) -> str:
    if figure.ratio is None or figure.change_us is None:
        return "One of the two has no time to compare."
    if figure.a_us == figure.b_us:
        return "B takes as long as A."
    word = "slower" if figure.change_us > 0 else "faster"
    factor = figure.ratio if figure.change_us > 0 else 1 / figure.ratio if figure.ratio else float("inf")
    doubt = ", which is within their error bars" if figure.within_error else ""
    return f"B is {figures.ratio(factor)} {word} than A{doubt}: {_sides(figure)} one layer after another."


def _comparison(comparison: Comparison) -> RenderableType:
    parts: list[RenderableType] = [
        Text(verdict(comparison), style="bold"),
        Text(f"A: {view(comparison.a_title, 150)}", style="dim"),
        Text(f"B: {view(comparison.b_title, 150)}", style="dim"),
        Text(""),
        _figures("bound", comparison.bounds),
    ]
    changed = [f for f in comparison.kinds if f.a_us != f.b_us][:_TOP_KINDS]
    if changed:
        parts += [Text(""), _figures("kind", changed)]
    if comparison.movers:
        parts += [Text(""), _movers(comparison)]
    parts += [Text(""), *(Text(line, style="dim") for line in _remarks(comparison)), Text("")]
    return Group(*parts)


def _figures(title: str, rows: Sequence[Figure]) -> Table:
    table = _table(title)
    for figure in rows:
        table.add_row(Text(view(figure.label, 40)), *_cells(figure))
    return table


def _movers(comparison: Comparison) -> Table:
    table = _table("layer")
    table.add_column("limited by", no_wrap=True, overflow="ellipsis")
    shown = comparison.movers[:_TOP_MOVERS]
    # Where all is predicted, the column would say nothing.
    sourced = any("measured" in (mover.a_source, mover.b_source) for mover in shown)
    if sourced:
        table.add_column("time is", no_wrap=True)
    for mover in shown:
        limits = dict.fromkeys(b.removesuffix(" bandwidth") for b in (mover.a_bottleneck, mover.b_bottleneck))
        count = f" × {mover.count}" if mover.count > 1 else ""
        sources = [_short_source(mover)] if sourced else []
        name = Text(view(mover.figure.label, 18 if sourced else 26) + count)
        table.add_row(name, *_cells(mover.figure), " → ".join(limits), *sources)
    return table


def _short_source(mover: Mover) -> str:
    """``meas.``, or ``pred. → meas.`` where the two answers differ in it."""
    return " → ".join(dict.fromkeys(f"{source[:4]}." for source in (mover.a_source, mover.b_source)))


def _remarks(comparison: Comparison) -> list[str]:
    """What the tables leave out, in sentences: nothing is silently dropped."""
    lines = []
    rest = len(comparison.movers) - _TOP_MOVERS
    if rest > 0:
        lines.append(f"{rest} more layers changed.")
    if not comparison.shared_layers:
        lines.append("No layer has the same name in both; only the totals can be compared.")
    for side, names in (("A", comparison.only_a), ("B", comparison.only_b)):
        if names:
            lines.append(f"Only in {side} ({len(names)}): {named(names, _NAMES_SHOWN, 40)}.")
    if comparison.a_unknown_share or comparison.b_unknown_share:
        a, b = figures.percent(comparison.a_unknown_share), figures.percent(comparison.b_unknown_share)
        lines.append(f"Unknown layers, which the totals leave out: {a} in A, {b} in B.")
    for side, measured in (("A", comparison.a_measured), ("B", comparison.b_measured)):
        if measured:
            lines.append(f"{side}: {measured}.")
    if bool(comparison.a_measured) != bool(comparison.b_measured):
        lines.append("One answer is measured and the other is not: part of the change is the theory's error.")
    if comparison.a_version != comparison.b_version:
        a, b = view(comparison.a_version, 20), view(comparison.b_version, 20)
        lines.append(f"A was written by Headroom {a}, B by {b}: part of the change may be Headroom's own.")
    return lines


def _cells(figure: Figure) -> tuple[RenderableType, ...]:
    if figure.change_us is None:
        change: RenderableType = figures.NOTHING
    else:
        style = "" if figure.within_error else ("red" if figure.change_us > 0 else "green")
        change = Text(_change(figure), style=style)
    return figures.time(figure.a_us, figure.a_error_pct), figures.time(figure.b_us, figure.b_error_pct), change


def _change(figure: Figure) -> str:
    """``+12 %`` or ``2.3×``; a tilde says that the error bars overlap."""
    if figure.ratio is None:
        return "new" if figure.b_us else figures.NOTHING
    mark = "~" if figure.within_error and figure.change_us else ""
    if figure.ratio >= 2:
        return f"{mark}{figures.ratio(figure.ratio)}"
    return f"{mark}{100 * (figure.ratio - 1):+.0f} %"


def _sides(figure: Figure) -> str:
    return f"{figures.time(figure.b_us, figure.b_error_pct)} after {figures.time(figure.a_us, figure.a_error_pct)}"


def _table(title: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(title, no_wrap=True, overflow="ellipsis", min_width=16)
    for name in ("A", "B", "change"):
        table.add_column(name, justify="right", no_wrap=True, min_width=7)
    return table
