"""The numeric columns of the layer table: what each means, and how a cell is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from headroom import figures
from headroom.advise.analysis import Analysis, LayerAnswer
from headroom.report.your_run import RunTime, gpu_run


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of the table: ``sort`` orders the column and is empty where there is nothing to order by."""

    text: str
    sort: str = ""


Make = Callable[[LayerAnswer, Analysis, RunTime | None], Cell]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, what it means, how a cell is made, and whether a sheet of paper has room for it."""

    heading: str
    meaning: str
    make: Make
    on_paper: bool = True


def columns_of(analysis: Analysis) -> tuple[Column, ...]:
    """The columns of an analysis: the user's run stands beside the best where there is a profile."""
    if gpu_run(analysis) is None:
        return (*_FIRST, *_REST)
    # Two columns more on a sheet of paper take the room of others.
    return (*_FIRST, *_RUN, *(replace(column, on_paper=column.heading == "Floor") for column in _REST))


def sorted_by(analysis: Analysis) -> str:
    """The heading of the column that orders the rows at first."""
    return "Total" if gpu_run(analysis) is None else "Your run"


def _of(value: float | None, text: str) -> Cell:
    return Cell(text) if value is None else Cell(text, f"{value:.9g}")


def _traffic(field: str) -> Make:
    def cell(answer: LayerAnswer, analysis: Analysis, ran: RunTime | None) -> Cell:
        moved = float(getattr(answer.prediction, field))
        return _of(moved, figures.size(moved)) if answer.prediction.time_us is not None else Cell(figures.NOTHING)

    return cell


def _total(answer: LayerAnswer, analysis: Analysis, ran: RunTime | None) -> Cell:
    prediction = answer.prediction
    if prediction.time_us is None:
        return Cell(figures.NOTHING)
    return _of(answer.total_us, figures.time(answer.total_us, prediction.error_pct))


def _your_run(answer: LayerAnswer, analysis: Analysis, ran: RunTime | None) -> Cell:
    if ran is None:
        return Cell(figures.NOTHING)
    return Cell("fused") if ran.total_us is None else _of(ran.total_us, figures.time(ran.total_us))


def _lost(answer: LayerAnswer, analysis: Analysis, ran: RunTime | None) -> Cell:
    if ran is None or ran.total_us is None or answer.prediction.time_us is None:
        return Cell(figures.NOTHING)
    lost_us = ran.total_us - ran.best_us
    sign = "\N{MINUS SIGN}" if lost_us < 0 else ""
    return _of(lost_us, f"{sign}{figures.time(abs(lost_us), answer.prediction.error_pct)}")


def _share(answer: LayerAnswer, analysis: Analysis, ran: RunTime | None) -> Cell:
    if answer.prediction.time_us is None or analysis.bounds.sequential_us <= 0:
        return Cell(figures.NOTHING)
    share = answer.total_us / analysis.bounds.sequential_us
    return _of(share, figures.percent(share))


def _once(answer: LayerAnswer, analysis: Analysis, ran: RunTime | None) -> Cell:
    prediction = answer.prediction
    return _of(prediction.time_us, figures.time_with_error(prediction.time_us, prediction.error_pct))


def _floor(answer: LayerAnswer, analysis: Analysis, ran: RunTime | None) -> Cell:
    return _of(answer.prediction.floor_us, figures.time(answer.prediction.floor_us))


def _waves(answer: LayerAnswer, analysis: Analysis, ran: RunTime | None) -> Cell:
    waves = answer.prediction.waves
    return _of(waves, figures.NOTHING if waves is None else figures.significant(waves, 2))


def _busy(answer: LayerAnswer, analysis: Analysis, ran: RunTime | None) -> Cell:
    busy = answer.prediction.tail_utilization
    return _of(busy, figures.NOTHING if busy is None else figures.percent(busy))


_FIRST = (
    Column("Count", "occurrences of this configuration", lambda a, _, __: _of(a.count, str(a.count))),
    Column("Total", "time of all occurrences, each at its best", _total),
)
_RUN = (
    Column("Your run", "what all occurrences took in your profile", _your_run),
    Column("Lost", "your run above the best of all layers that its kernels did", _lost),
)
_REST = (
    Column("Share", "share of the sequential bound", _share, on_paper=False),
    Column("Once", "time of one occurrence, with its error bar", _once),
    Column("Floor", "speed of light of one occurrence", _floor),
    Column("Macs", "multiply-adds of one occurrence",
           lambda a, _, __: _of(a.layer.macs, figures.amount(a.layer.macs)), on_paper=False),
    Column("L1", "predicted bytes through L1, one occurrence", _traffic("l1_bytes"), on_paper=False),
    Column("L2", "predicted bytes through L2, one occurrence", _traffic("l2_bytes"), on_paper=False),
    Column("DRAM", "predicted bytes through DRAM, one occurrence", _traffic("dram_bytes")),
    Column("Waves", "predicted CTAs over those that fit at once", _waves, on_paper=False),
    Column("Busy", "predicted mean share of busy SMs over all waves", _busy, on_paper=False),
)  # fmt: skip
