"""The critical path picture: the parallel schedule with a row per stream."""

from __future__ import annotations

import math

from headroom import figures
from headroom.advise.analysis import Analysis, ScheduledLayer
from headroom.report.html.charts import DataTable, Segment, Tick, Timeline, TimelineRow, css_name, legend_of, tip
from headroom.text import view

_ROW_PX, _GAP_PX = 22.0, 4.0

#: Height beyond which rows get thinner instead of more: a picture that fits a screen.
_TALLEST_PX = 520.0

#: Rows of the table beside the picture; the full list is in the trace.
_TABLE_ROWS = 200


def timeline_chart(analysis: Analysis) -> Timeline:
    """Streams side by side; what is on the critical path is solid and has a row of its own on top."""
    placed = [p for p in analysis.schedule if p.duration_us > 0]
    span_us = max((p.start_us + p.duration_us for p in placed), default=0.0) or 1.0
    streams = sorted({p.stream for p in placed})
    pitch = min(_ROW_PX + _GAP_PX, _TALLEST_PX / (len(streams) + 1))
    height = pitch * (_ROW_PX / (_ROW_PX + _GAP_PX))
    critical = [p for p in placed if p.critical]
    rows = [_row("critical path", critical, 0.0, height, span_us, analysis)] if critical else []
    for position, stream in enumerate(streams, start=len(rows)):
        mine = [p for p in placed if p.stream == stream]
        rows.append(_row(f"stream {stream}", mine, position * pitch, height, span_us, analysis))
    return Timeline(
        "timeline",
        "Critical path",
        f"The parallel bound as a schedule on {len(streams)} stream{'s' if len(streams) != 1 else ''}: every layer "
        "starts as soon as its inputs are there. Only layers on the critical path (solid) shorten the model when "
        "they get faster; the faded ones wait for nobody.",
        tuple(rows),
        pitch * len(rows),
        _ticks(span_us),
        _table(critical, analysis),
        legend_of([analysis.answers[p.answer].layer.kind.value for p in placed]),
    )


def _row(
    label: str, placed: list[ScheduledLayer], y: float, height: float, span_us: float, analysis: Analysis
) -> TimelineRow:
    segments = tuple(_segment(p, span_us, analysis) for p in placed)
    return TimelineRow(label, y, height, segments)


def _segment(placed: ScheduledLayer, span_us: float, analysis: Analysis) -> Segment:
    answer = analysis.answers[placed.answer]
    prediction = answer.prediction
    facts = tip(
        view(placed.name),
        f"{figures.time_with_error(placed.duration_us, prediction.error_pct)}, "
        f"starts at {figures.time(placed.start_us)}",
        f"{answer.layer.kind.value}, limited by {prediction.bottleneck.value}",
        "on the critical path" if placed.critical else "not on the critical path",
    )
    css = css_name(answer.layer.kind.value) + ("" if placed.critical else " waiting")
    return Segment(100 * placed.start_us / span_us, 100 * placed.duration_us / span_us, css, facts)


def _ticks(span_us: float) -> tuple[Tick, ...]:
    """Four to nine round times along the axis."""
    power = 10.0 ** math.floor(math.log10(span_us / 4))
    step = max(power * factor for factor in (1, 2, 5) if power * factor <= span_us / 4)
    count = math.floor(span_us / step)
    return tuple(Tick(100 * i * step / span_us, _short(i * step) if i else "0") for i in range(count + 1))


def _short(time_us: float) -> str:
    """A round time without trailing zeros."""
    number, unit = figures.time(time_us).split(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}"


def _table(critical: list[ScheduledLayer], analysis: Analysis) -> DataTable:
    rows = []
    for placed in critical[:_TABLE_ROWS]:
        answer = analysis.answers[placed.answer]
        rows.append(
            (
                view(placed.name),
                figures.time(placed.start_us),
                figures.time_with_error(placed.duration_us, answer.prediction.error_pct),
                answer.layer.kind.value,
                answer.prediction.bottleneck.value,
            )
        )
    return DataTable(("Layer on the critical path", "Starts", "Takes", "Kind", "Limited by"), tuple(rows))
