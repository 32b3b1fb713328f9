"""The answer in a terminal: readable at 80 columns, without colour and in a pipe.

Names from the model are :class:`rich.text.Text`, never markup, so a layer called ``[bold]`` stays that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from headroom import figures
from headroom.advise.analysis import Analysis
from headroom.advise.questions.combined import combined
from headroom.advise.questions.which_gpu import which_gpu
from headroom.report import advice, summary
from headroom.report.layer_table import layer_table
from headroom.report.runs import runs
from headroom.report.side_by_side import notes_of, side_by_side
from headroom.report.your_run import host_times
from headroom.text import view

#: Characters of the longest bar.
_BAR_WIDTH = 24
_TOP_LAYERS = 10
_TOP_SHARES = 8
_UNKNOWN_SHOWN = 5


def render(analyses: Sequence[Analysis], console: Console, *, max_latency_us: float | None = None) -> None:
    """Print the answers. Several are shown side by side first, then each one's verdict and findings.

    Args:
        analyses: at least one.
        max_latency_us: with several batches, the latency under which the best batch is named.
    """
    if len(analyses) > 1 or max_latency_us is not None:
        console.print(side_by_side(analyses, max_latency_us))
        chosen = which_gpu(analyses)
        answers = (*([chosen] if chosen else ()), *combined(analyses))
        console.print(Group(*(Text(view(answer.sentence, 1000)) for answer in answers), Text("")))
    if len(analyses) == 1:
        console.print(_full(analyses[0], console.width))
        return
    for analysis in analyses:
        console.print(_short(analysis))
    console.print(Group(*_notes(notes_of(analyses))))


def _full(analysis: Analysis, width: int) -> RenderableType:
    return Group(*_opening(analysis), *_bounds(analysis), *_runs(analysis), *_where(analysis),
                 *_layers(analysis, width), *_on_host(analysis), *_advice(analysis),
                 *_unknown(analysis), *_notes(analysis.notes))  # fmt: skip


def _short(analysis: Analysis) -> RenderableType:
    """What the table beside it does not say: the verdict, the best finding, what is unknown."""
    parts = [*_opening(analysis), *_best(analysis)]
    if phases := summary.phases_text(analysis):
        parts.append(_indented(phases))
    if analysis.coverage.unknown_layers:
        parts.append(_indented(summary.unknown_text(analysis), "dim"))
    return Group(*parts, Text(""))


def _best(analysis: Analysis) -> Iterable[RenderableType]:
    asked = summary.question_of(analysis)
    for finding in analysis.findings[:1]:
        yield advice.finding_lines(1, finding, asked.get(finding), brief=True)


def _opening(analysis: Analysis) -> Iterable[RenderableType]:
    yield Text(view(analysis.verdict, 1000), style="bold")
    yield Text(summary.subtitle(analysis), style="dim")


def _bounds(analysis: Analysis) -> Iterable[RenderableType]:
    yield _heading("How fast it could run")
    rungs = summary.ladder(analysis)
    longest_us = max((rung.time_us or 0.0 for rung in rungs), default=0.0)
    table = _table()
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    for rung in rungs:
        style = "bold" if rung.key in ("sequential", "measured") else ""
        bar = _bar(rung.time_us or 0.0, longest_us)
        table.add_row(Text(rung.label, style), Text(rung.text, style), Text(rung.error_text, "dim"), bar)
    yield table
    yield _indented(f"{summary.source_text(analysis)} {summary.unknown_text(analysis)}".lstrip(), "dim")
    if analysis.execution is not None:
        yield _indented(summary.profile_text(analysis))
    if phases := summary.phases_text(analysis):
        yield _indented(phases)
    yield _indented(f"Memory: {summary.memory_text(analysis)}.", "" if analysis.memory.fits else "bold red")


def _runs(analysis: Analysis) -> Iterable[RenderableType]:
    """How long frameworks take for the whole model, and why where one gave no time."""
    found = runs(analysis)
    if not found:
        return
    yield _heading("As frameworks run it")
    table = _table(header=True)
    table.add_column("mode", no_wrap=True, max_width=24, overflow="ellipsis")
    for title in ("time", "±", "energy", "memory"):
        table.add_column(title, justify="right", no_wrap=True)
    for run in found:
        table.add_row(Text(run.mode), run.time, Text(run.error.removeprefix("± "), "dim"), run.energy, run.memory)
    yield table
    for run in found:
        if run.remark:
            yield _indented(f"{run.mode}: {run.remark}", "dim")


def _where(analysis: Analysis) -> Iterable[RenderableType]:
    error_pct = analysis.bounds.sequential_error_pct
    yield from _share_table("Where the time goes", analysis.time_by_kind, error_pct)
    yield from _share_table("What limits it", analysis.time_by_bottleneck, error_pct)


def _on_host(analysis: Analysis) -> Iterable[RenderableType]:
    """The layers' shares of a run on the host alone."""
    if host_us := host_times(analysis):
        yield from _share_table("Where your host's time went", host_us, 0.0)
        yield _indented(summary.ON_HOST, "dim")


def _share_table(title: str, times_us: Mapping[str, float], error_pct: float) -> Iterable[RenderableType]:
    rows = summary.shares(times_us, _TOP_SHARES)
    if not rows:
        return
    yield _heading(title)
    table = _table()
    table.add_column(no_wrap=True, max_width=24, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for name, time_us, share in rows:
        table.add_row(Text(name), figures.time(time_us, error_pct), figures.percent(share), _bar(share, 1.0))
    yield table


def _layers(analysis: Analysis, width: int) -> Iterable[RenderableType]:
    answers = summary.longest(analysis)[:_TOP_LAYERS]
    if answers:
        yield _heading("The longest layers")
        yield layer_table(analysis, answers, width)


def _advice(analysis: Analysis) -> Iterable[RenderableType]:
    yield _heading("What to do")
    yield from advice.findings(analysis)
    if analysis.questions:
        yield _heading("The questions behind it")
        yield from advice.questions(analysis)


def _unknown(analysis: Analysis) -> Iterable[RenderableType]:
    unknown = analysis.coverage.unknown_layers
    if unknown:
        yield _heading("Not known")
        yield _indented(summary.named(unknown, most=_UNKNOWN_SHOWN, limit=60))


def _notes(notes: Iterable[str]) -> Iterable[RenderableType]:
    for position, note in enumerate(notes):
        if position == 0:
            yield _heading("Notes")
        yield _indented(view(note, 600), "dim")


def _bar(value: float, longest: float) -> Text:
    """A bar of whole and half cells; anything above zero shows at least half a cell."""
    halves = round(2 * _BAR_WIDTH * value / longest) if longest > 0 else 0
    if value > 0:
        halves = max(halves, 1)
    return Text("━" * (halves // 2) + "╸" * (halves % 2), "cyan")


def _heading(title: str) -> RenderableType:
    return Padding(Text(title, style="bold underline"), (1, 0, 0, 0), expand=False)


def _indented(text: str, style: str = "") -> RenderableType:
    return Padding(Text(text, style), (0, 0, 0, 2), expand=False)


def _table(*, header: bool = False) -> Table:
    return Table(box=None, show_header=header, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
