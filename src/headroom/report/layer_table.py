"""The longest layers in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from headroom import figures
from headroom.advise.analysis import Analysis, LayerAnswer
from headroom.report import summary
from headroom.text import clean, view

#: Characters that the layer table takes beside the names, so that a long name squeezes no figure.
_OTHER_COLUMNS_WIDTH = 54
_LEAST_NAME_WIDTH = 14
_LEAST_KIND_WIDTH, _KIND_WIDTH = 6, 13

#: What the column that tells measured from predicted takes; a screen of predictions does without.
_SOURCE_WIDTH = 11


def layer_table(analysis: Analysis, answers: Sequence[LayerAnswer], width: int) -> Table:
    """A row per configuration of ``answers``, in a terminal of ``width`` columns.

    Where something is measured, each row says whether its time is.
    """
    sourced = analysis.measured_layers > 0
    others_width = _OTHER_COLUMNS_WIDTH + (_SOURCE_WIDTH if sourced else 0)
    name_width = max(_LEAST_NAME_WIDTH, width - others_width)
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("layer", no_wrap=True)
    # On a narrow terminal the kind gives way, as the one column whose beginning says enough.
    squeezed = min(0, width - others_width - _LEAST_NAME_WIDTH)
    table.add_column(
        "kind", no_wrap=True, overflow="ellipsis", max_width=max(_LEAST_KIND_WIDTH, _KIND_WIDTH + squeezed)
    )
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("limited by", no_wrap=True)
    if sourced:
        table.add_column("time is", no_wrap=True)
    for answer in answers:
        row = _layer_row(answer, analysis.bounds.sequential_us, name_width)
        table.add_row(*row, *([summary.source_word(answer)] if sourced else []))
    return table


def _layer_row(answer: LayerAnswer, sequential_us: float, name_width: int) -> tuple[RenderableType, ...]:
    prediction = answer.prediction
    share = answer.total_us / sequential_us if sequential_us > 0 else 0.0
    return (
        Text(_short_name(answer, name_width)),
        Text(answer.layer.kind.value),
        f"× {answer.count}",
        figures.time(answer.total_us, prediction.error_pct),
        figures.percent(share),
        prediction.bottleneck.value.removesuffix(" bandwidth"),
    )


def _short_name(answer: LayerAnswer, width: int) -> str:
    """The layer's name; where it is too long its module, which is the user's own and often shorter."""
    name, module = clean(answer.layer.name[: 2 * width]), clean(answer.layer.module[: 2 * width])
    return module if len(name) > width >= len(module) > 0 else view(answer.layer.name, width)
