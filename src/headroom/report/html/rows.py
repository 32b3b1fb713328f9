"""The layer table of the page: one row per configuration, cells that sort by value and read as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from headroom import figures
from headroom.advise.analysis import Analysis, LayerAnswer
from headroom.report.html.charts import css_name
from headroom.report.html.columns import Cell, Column, columns_of
from headroom.report.kernels import launched, short_name, transposes
from headroom.report.shapes import shape_text
from headroom.report.summary import named
from headroom.report.your_run import RunTime, run_times
from headroom.text import view

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


def layer_rows(analysis: Analysis) -> list[LayerRow]:
    """All configurations, the one that takes most time first, in the user's run where there is one.

    Those without a time come last.
    """
    ran, columns = run_times(analysis), columns_of(analysis)

    def order(item: tuple[int, LayerAnswer]) -> tuple[bool, float, bool, float]:
        position, answer = item
        run_us = ran[position].total_us if position in ran else None
        unknown = answer.prediction.time_us is None
        return (bool(ran) and run_us is None, -(run_us or 0.0), unknown, -answer.total_us)

    ordered = sorted(enumerate(analysis.answers), key=order)
    return [_row(answer, analysis, ran.get(position), columns) for position, answer in ordered]


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


def _in_your_run(ran: RunTime | None) -> tuple[str, ...]:
    """Whose kernels did the layer in the user's run, or which layers its own did as well."""
    if ran is None or not (ran.inside or ran.beside):
        return ()
    if ran.inside:
        return (f"in your run inside the kernels of {view(ran.inside, 80)}",)
    return (f"in your run its kernels also did {named(ran.beside, most=3, limit=60)}",)


def _row(answer: LayerAnswer, analysis: Analysis, ran: RunTime | None, columns: Sequence[Column]) -> LayerRow:
    layer, prediction = answer.layer, answer.prediction
    others = named(answer.names[1:], most=3, limit=60)
    detail = " · ".join(text for text in (view(layer.operator, 40), shape_text(layer)) if text)
    notes = (*_in_your_run(ran), *_beside(answer), *(view(note, 400) for note in prediction.notes))
    name = view(layer.name)
    modules = named(answer.modules, most=3, limit=80)
    kernels, hidden_kernels = _kernels(answer)
    launches = [f"{kernel.text} transposes the layout" if kernel.transposes else kernel.text for kernel in kernels]
    return LayerRow(
        name=name,
        detail=detail,
        search=" ".join((name, detail, modules, others, prediction.algorithm, *launches)).lower(),
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
        cells=tuple(column.make(answer, analysis, ran) for column in columns),
    )
