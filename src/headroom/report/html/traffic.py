"""Traffic at each level of the memory hierarchy."""

from __future__ import annotations

from collections.abc import Sequence

from headroom import figures
from headroom.advise.analysis import Analysis, LayerAnswer
from headroom.report.html.charts import Bar, BarChart, DataTable, Segment, css_name, legend_of, tip
from headroom.text import view

_LEVELS = (("L1", "l1_bytes"), ("L2", "l2_bytes"), ("DRAM", "dram_bytes"))
_TOP_LAYERS = 12


def level_chart(analysis: Analysis) -> BarChart:
    """Bytes per level over the whole model, by kind of layer."""
    kinds = list(dict.fromkeys(answer.layer.kind.value for answer in analysis.answers))
    sums = {(level, kind): 0.0 for level, _ in _LEVELS for kind in kinds}
    for answer in analysis.answers:
        for level, field in _LEVELS:
            sums[level, answer.layer.kind.value] += getattr(answer.prediction, field) * answer.count
    kinds.sort(key=lambda kind: (-sums["L1", kind], kind))
    totals = {level: sum(sums[level, kind] for kind in kinds) for level, _ in _LEVELS}
    full = max(totals.values()) or 1.0
    bars = tuple(
        Bar(level, figures.size(totals[level]), _stack(level, [(k, sums[level, k]) for k in kinds], full))
        for level, _ in _LEVELS
    )
    rows = tuple((kind, *(figures.size(sums[level, kind]) for level, _ in _LEVELS)) for kind in kinds)
    moving = [kind for kind in kinds if any(sums[level, kind] > 0 for level, _ in _LEVELS)]
    return BarChart(
        "traffic",
        "Traffic per level",
        "Bytes that pass each level of the memory hierarchy in one run, by kind of layer. "
        "What a level catches, the next one does not see.",
        bars,
        DataTable(("Kind", "L1", "L2", "DRAM"), rows),
        legend_of(moving),
    )


def _stack(level: str, parts: Sequence[tuple[str, float]], full: float) -> tuple[Segment, ...]:
    segments, at = [], 0.0
    for kind, moved in parts:
        if moved > 0:
            width = 100 * moved / full
            segments.append(Segment(at, width, css_name(kind), tip(f"{kind} at {level}", figures.size(moved))))
            at += width
    return tuple(segments)


def heaviest_chart(analysis: Analysis) -> BarChart:
    """The layers that move most through DRAM, with what they ask of L2 and L1 behind it."""
    ordered = sorted(analysis.answers, key=_weight, reverse=True)
    answers = [answer for answer in ordered[:_TOP_LAYERS] if _most(answer) > 0]
    full = max((_most(answer) for answer in answers), default=0.0) or 1.0
    bars = tuple(_nested(answer, full) for answer in answers)
    rows = tuple(
        (
            view(answer.layer.name),
            str(answer.count),
            *(figures.size(getattr(answer.prediction, field) * answer.count) for _, field in _LEVELS),
        )
        for answer in answers
    )
    return BarChart(
        "heaviest",
        "The layers that move most",
        "Ordered by DRAM traffic of all occurrences, then by L2. Within a bar: DRAM solid, then L2, then L1.",
        bars,
        DataTable(("Layer", "Count", "L1", "L2", "DRAM"), rows),
        (("level-dram", "DRAM"), ("level-l2", "L2"), ("level-l1", "L1")),
        mono=True,
    )


def _weight(answer: LayerAnswer) -> tuple[float, float]:
    """DRAM first; a small model with a warm L2 moves nothing there, so L2 decides between equals."""
    return answer.prediction.dram_bytes * answer.count, answer.prediction.l2_bytes * answer.count


def _headline(answer: LayerAnswer) -> str:
    dram_bytes, l2_bytes = _weight(answer)
    return figures.size(dram_bytes) if dram_bytes else f"L2 {figures.size(l2_bytes)}"


def _most(answer: LayerAnswer) -> float:
    return max(float(getattr(answer.prediction, field)) for _, field in _LEVELS) * answer.count


def _nested(answer: LayerAnswer, full: float) -> Bar:
    facts = tip(
        view(answer.layer.name) + (f" × {answer.count}" if answer.count > 1 else ""),
        *(f"{level} {figures.size(getattr(answer.prediction, field) * answer.count)}" for level, field in _LEVELS),
    )
    # The wide bars lie behind the narrow ones, so that each level stays visible.
    segments = sorted(
        (
            Segment(0.0, 100 * getattr(answer.prediction, field) * answer.count / full, f"level-{level.lower()}", facts)
            for level, field in _LEVELS
        ),
        key=lambda segment: -segment.width,
    )
    return Bar(
        view(answer.layer.name, 80),
        _headline(answer),
        tuple(segments),
        f"{answer.layer.kind.value}" + (f" × {answer.count}" if answer.count > 1 else ""),
    )
