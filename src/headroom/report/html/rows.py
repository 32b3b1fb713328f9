"""The layer table of the page: one row per configuration, cells that sort by value and read as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from headroom import figures
from headroom.advise.analysis import Analysis, LayerAnswer
from headroom.report.html.charts import css_name
from headroom.report.kernels import launched, short_name, transposes
from headroom.report.shapes import shape_text
from headroom.report.summary import named
from headroom.text import view


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of the table: ``sort`` orders the column and is empty where there is nothing to order by."""

    text: str
    sort: str = ""


#: Kernels that a row names; of those beyond, the ones that turn a layout round.
_KERNELS_SHOWN = 4


@dataclass(frozen=True, slots=True)
class KernelLine:
    """A kernel of a measured implementation. ``name`` is the whole one, ``text`` fits the table."""

    text: str
    name: str
    transposes: bool


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A configuration, ready to print. ``search`` is what the search field looks into, in lower case.

    ``hidden_kernels`` counts the launches that have no line in ``kernels``.
    """

    name: str
    detail: str
    search: str
    kind: str
    kind_css: str
    bottleneck: str
    bottleneck_css: str
    source: str
    source_detail: str
    implementation: str
    kernels: tuple[KernelLine, ...]
    hidden_kernels: int
    notes: tuple[str, ...]
    cells: tuple[Cell, ...]


#: Numeric columns: heading, what it means, how a row's cell is made.
Column = tuple[str, str, Callable[[LayerAnswer, Analysis], Cell]]


def _of(value: float | None, text: str) -> Cell:
    return Cell(text) if value is None else Cell(text, f"{value:.9g}")


def _traffic(field: str) -> Callable[[LayerAnswer, Analysis], Cell]:
    def cell(answer: LayerAnswer, analysis: Analysis) -> Cell:
        moved = float(getattr(answer.prediction, field))
        return _of(moved, figures.size(moved)) if answer.prediction.time_us is not None else Cell(figures.NOTHING)

    return cell


def _total(answer: LayerAnswer, analysis: Analysis) -> Cell:
    prediction = answer.prediction
    if prediction.time_us is None:
        return Cell(figures.NOTHING)
    return _of(answer.total_us, figures.time(answer.total_us, prediction.error_pct))


def _share(answer: LayerAnswer, analysis: Analysis) -> Cell:
    if answer.prediction.time_us is None or analysis.bounds.sequential_us <= 0:
        return Cell(figures.NOTHING)
    share = answer.total_us / analysis.bounds.sequential_us
    return _of(share, figures.percent(share))


def _once(answer: LayerAnswer, analysis: Analysis) -> Cell:
    prediction = answer.prediction
    return _of(prediction.time_us, figures.time_with_error(prediction.time_us, prediction.error_pct))


def _floor(answer: LayerAnswer, analysis: Analysis) -> Cell:
    return _of(answer.prediction.floor_us, figures.time(answer.prediction.floor_us))


def _waves(answer: LayerAnswer, analysis: Analysis) -> Cell:
    waves = answer.prediction.waves
    return _of(waves, figures.NOTHING if waves is None else figures.significant(waves, 2))


def _busy(answer: LayerAnswer, analysis: Analysis) -> Cell:
    busy = answer.prediction.tail_utilization
    return _of(busy, figures.NOTHING if busy is None else figures.percent(busy))


COLUMNS: tuple[Column, ...] = (
    ("Count", "occurrences of this configuration", lambda a, _: _of(a.count, str(a.count))),
    ("Total", "time of all occurrences", _total),
    ("Share", "share of the sequential bound", _share),
    ("Once", "time of one occurrence, with its error bar", _once),
    ("Floor", "speed of light of one occurrence", _floor),
    ("Macs", "multiply-adds of one occurrence", lambda a, _: _of(a.layer.macs, figures.amount(a.layer.macs))),
    ("L1", "predicted bytes through L1, one occurrence", _traffic("l1_bytes")),
    ("L2", "predicted bytes through L2, one occurrence", _traffic("l2_bytes")),
    ("DRAM", "predicted bytes through DRAM, one occurrence", _traffic("dram_bytes")),
    ("Waves", "predicted CTAs over those that fit at once", _waves),
    ("Busy", "predicted mean share of busy SMs over all waves", _busy),
)


def layer_rows(analysis: Analysis) -> list[LayerRow]:
    """All configurations, the one that takes most time first; those without a time come last."""
    ordered = sorted(analysis.answers, key=lambda a: (a.prediction.time_us is None, -a.total_us))
    return [_row(answer, analysis) for answer in ordered]


def _samples(answer: LayerAnswer) -> str:
    """``12 samples, spread 1.2 %`` of a measured time; nothing of another."""
    timing = answer.timing
    if not answer.is_measured or timing is None:
        return ""
    spread = "" if timing.noise is None else f", spread {figures.significant(100 * timing.noise, 2)} %"
    return f"{timing.samples} samples{spread}"


def _beside(answer: LayerAnswer) -> tuple[str, ...]:
    """The theory's time beside a measured one."""
    return (f"predicted {figures.time(answer.predicted_us)}",) if answer.is_measured and answer.predicted_us else ()


def _kernels(answer: LayerAnswer) -> tuple[tuple[KernelLine, ...], int]:
    """Each kernel once, in the order of its first launch, and how many launches go without a line."""
    whole = [kernel.name for kernel in launched(answer)]
    times = Counter(map(short_name, whole))
    names = {short_name(name): name for name in reversed(whole)}
    shown = [short for at, short in enumerate(times) if at < _KERNELS_SHOWN or transposes(names[short])]
    lines = (
        KernelLine(view(short, 60) + (f" × {times[short]}" if times[short] > 1 else ""),
                   view(names[short], 400), transposes(names[short]))
        for short in shown
    )  # fmt: skip
    return tuple(lines), times.total() - sum(times[short] for short in shown)


def _row(answer: LayerAnswer, analysis: Analysis) -> LayerRow:
    layer, prediction = answer.layer, answer.prediction
    others = named(answer.names[1:], most=3, limit=60)
    detail = " · ".join(text for text in (view(layer.operator, 40), shape_text(layer)) if text)
    notes = (*_beside(answer), *(view(note, 400) for note in prediction.notes))
    name = view(layer.name)
    modules = named(answer.modules, most=3, limit=80)
    kernels, hidden_kernels = _kernels(answer)
    ran = [f"{kernel.text} transposes the layout" if kernel.transposes else kernel.text for kernel in kernels]
    return LayerRow(
        name=name,
        detail=detail,
        search=" ".join((name, detail, modules, others, prediction.algorithm, *ran)).lower(),
        kind=layer.kind.value,
        kind_css=css_name(layer.kind.value),
        bottleneck=prediction.bottleneck.value,
        bottleneck_css=css_name(prediction.bottleneck.value),
        source=prediction.source.value + (", noisy" if answer.is_noisy else ""),
        source_detail=_samples(answer),
        implementation=view(prediction.algorithm, 80),
        kernels=kernels,
        hidden_kernels=hidden_kernels,
        notes=(*((f"also {others}",) if others else ()), *notes),
        cells=tuple(make(answer, analysis) for _, _, make in COLUMNS),
    )
