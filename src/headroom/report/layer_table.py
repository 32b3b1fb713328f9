"""The longest layers in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from headroom import figures
from headroom.advise.analysis import Analysis, LayerAnswer
from headroom.report import summary
from headroom.report.your_run import RunTime, gpu_run, run_times
from headroom.text import clean, view

#: Characters that the layer table takes beside the names, so that a long name squeezes no figure.
_OTHER_COLUMNS_WIDTH = 54
_LEAST_NAME_WIDTH = 14
_LEAST_KIND_WIDTH, _KIND_WIDTH = 6, 13

#: What the column that tells measured from predicted takes; a screen of predictions does without.
_SOURCE_WIDTH = 11

#: What the column of the user's run takes more than that of the share.
_RUN_WIDTH = 3


def layer_table(analysis: Analysis, answers: Sequence[LayerAnswer], width: int) -> Table:
    """A row per configuration of ``answers``, in a terminal of ``width`` columns.

    Where something is measured, each row says whether its time is. With a profile, the user's run stands beside the
    best time instead of the share.
    """
    ran = run_times(analysis) if gpu_run(analysis) is not None else None
    place = {id(answer): position for position, answer in enumerate(analysis.answers)}
    sourced = analysis.measured_layers > 0
    others_width = _OTHER_COLUMNS_WIDTH + (_SOURCE_WIDTH if sourced else 0) + (0 if ran is None else _RUN_WIDTH)
    name_width = max(_LEAST_NAME_WIDTH, width - others_width)
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("layer", no_wrap=True)
    # On a narrow terminal the kind gives way, as the one column whose beginning says enough.
    squeezed = min(0, width - others_width - _LEAST_NAME_WIDTH)
    table.add_column(
        "kind", no_wrap=True, overflow="ellipsis", max_width=max(_LEAST_KIND_WIDTH, _KIND_WIDTH + squeezed)
    )
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("time" if ran is None else "best", justify="right", no_wrap=True)
    table.add_column("share" if ran is None else "your run", justify="right", no_wrap=True)
    table.add_column("limited by", no_wrap=True)
    if sourced:
        table.add_column("time is", no_wrap=True)
    for answer in answers:
        beside = _share(answer, analysis) if ran is None else _ran(ran.get(place[id(answer)]))
        row = _layer_row(answer, beside, name_width)
        table.add_row(*row, *([summary.source_word(answer)] if sourced else []))
    return table


def _share(answer: LayerAnswer, analysis: Analysis) -> str:
    sequential_us = analysis.bounds.sequential_us
    return figures.percent(answer.total_us / sequential_us if sequential_us > 0 else 0.0)


def _ran(run: RunTime | None) -> str:
    if run is None:
        return figures.NOTHING
    return "fused" if run.total_us is None else figures.time(run.total_us)


def _layer_row(answer: LayerAnswer, beside: str, name_width: int) -> tuple[RenderableType, ...]:
    prediction = answer.prediction
    return (
        Text(_short_name(answer, name_width)),
        Text(answer.layer.kind.value),
        f"× {answer.count}",
        figures.time(answer.total_us, prediction.error_pct),
        beside,
        prediction.bottleneck.value.removesuffix(" bandwidth"),
    )


def _short_name(answer: LayerAnswer, width: int) -> str:
    """The layer's name; where it is too long its module, which is the user's own: as much of its end as there is room
    for, because neighbours begin alike."""
    name, module = clean(answer.layer.name[: 2 * width]), clean(answer.layer.module[-2 * width :])
    if len(name) <= width or not module:
        return view(answer.layer.name, width)
    return module if len(module) <= width else f"…{module[1 - width :]}"
