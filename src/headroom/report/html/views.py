"""One analysis as the template reads it: every figure already text, every name already cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headroom import figures
from headroom.advise.analysis import Analysis
from headroom.report import side_by_side, summary
from headroom.report.html.bars import ladder_chart, layer_chart, share_chart
from headroom.report.html.cards import FindingCard, finding_card
from headroom.report.html.charts import Bar, BarChart, DataTable, Scatter, Segment, Timeline, tip
from headroom.report.html.columns import Column, columns_of, sorted_by
from headroom.report.html.facts import gpu_figures, run_table, small_figures, source_chip
from headroom.report.html.questions import QuestionView, question_views
from headroom.report.html.roofline import roofline_chart
from headroom.report.html.rows import LayerRow, layer_rows
from headroom.report.html.timeline import timeline_chart
from headroom.report.html.traffic import heaviest_chart, level_chart
from headroom.report.your_run import host_times
from headroom.text import view

_UNKNOWN_SHOWN = 200
_FINDINGS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class AnswerView:
    """One analysis as the template reads it. ``key`` keeps the ids of several answers apart."""

    key: str
    tab: str
    model: str
    gpu: str
    chips: tuple[str, ...]
    verdict: str
    facts: tuple[tuple[str, str, str], ...]
    ladder: BarChart
    profile: str
    networks: DataTable | None
    shares: tuple[BarChart, ...]
    layers: BarChart
    roofline: Scatter
    traffic: tuple[BarChart, ...]
    timeline: Timeline
    findings: tuple[FindingCard, ...]
    more_findings: tuple[FindingCard, ...]
    saved_from: str
    questions: tuple[QuestionView, ...]
    columns: tuple[Column, ...]
    sorted_by: str
    rows: list[LayerRow]
    kinds: tuple[str, ...]
    bottlenecks: tuple[str, ...]
    coverage: tuple[str, str, str]
    unknown: tuple[str, ...]
    unknown_unlisted: int
    notes: tuple[str, ...]
    sheet: DataTable


def answer_view(analysis: Analysis, key: str) -> AnswerView:
    rows, cards = layer_rows(analysis), _cards(analysis)
    unknown = analysis.coverage.unknown_layers
    gpu = view(analysis.gpu.name, 60)
    return AnswerView(
        key=key,
        tab=f"{gpu} · {analysis.dtype.value} · batch {analysis.batch}",
        model=view(analysis.model, 80),
        gpu=gpu,
        chips=(f"batch {analysis.batch}", analysis.dtype.value, f"L2 {analysis.l2_state}", source_chip(analysis)),
        verdict=view(analysis.verdict, 1000),
        facts=small_figures(analysis),
        ladder=ladder_chart(analysis),
        profile=summary.profile_text(analysis),
        networks=run_table(analysis),
        shares=_shares(analysis),
        layers=layer_chart(analysis),
        roofline=roofline_chart(analysis),
        traffic=(level_chart(analysis), heaviest_chart(analysis)),
        timeline=timeline_chart(analysis),
        findings=cards[:_FINDINGS_SHOWN],
        more_findings=cards[_FINDINGS_SHOWN:],
        saved_from=summary.saved_from(analysis),
        questions=question_views(analysis.questions),
        columns=columns_of(analysis),
        sorted_by=sorted_by(analysis),
        rows=rows,
        kinds=tuple(sorted({row.kind for row in rows})),
        bottlenecks=tuple(sorted({row.bottleneck for row in rows})),
        coverage=(
            figures.percent(analysis.coverage.known_share),
            figures.percent(analysis.coverage.known_macs_share),
            summary.unknown_text(analysis),
        ),
        unknown=tuple(view(name) for name in unknown[:_UNKNOWN_SHOWN]),
        unknown_unlisted=max(0, len(unknown) - _UNKNOWN_SHOWN),
        notes=tuple(view(note, 600) for note in analysis.notes),
        sheet=gpu_figures(analysis),
    )


def _shares(analysis: Analysis) -> tuple[BarChart, ...]:
    error_pct = analysis.bounds.sequential_error_pct
    host_us = host_times(analysis)
    on_host = share_chart("host", "By layer, on your host", summary.ON_HOST, host_us, 0.0, coloured=False)
    return (
        share_chart("kind", "By kind of layer", "", analysis.time_by_kind, error_pct, coloured=True),
        share_chart("bottleneck", "By what limits it", "", analysis.time_by_bottleneck, error_pct, coloured=True),
        share_chart("module", "By module", "", analysis.time_by_module, error_pct, coloured=False),
        *([on_host] if host_us else []),
    )


def _cards(analysis: Analysis) -> tuple[FindingCard, ...]:
    """All findings, the largest saving first, each with the question that it answers."""
    asked = summary.question_of(analysis)
    return tuple(finding_card(finding, asked.get(finding)) for finding in analysis.findings)


def comparison_chart(analyses: Sequence[Analysis]) -> BarChart:
    """Time per sample of each answer beside the others: the measured latency where there is one, else the bound."""
    times = [side_by_side.latency_us(analysis) / analysis.batch for analysis in analyses]
    full = max(times) or 1.0
    bars, rows = [], []
    for analysis, per_sample in zip(analyses, times, strict=True):
        bounds = analysis.bounds
        error_pct = side_by_side.latency_error_pct(analysis)
        is_measured = analysis.measured_us is not None
        label = f"{view(analysis.gpu.name, 60)} · {analysis.dtype.value} · batch {analysis.batch}"
        text = figures.time(per_sample, error_pct)
        rate = figures.significant(side_by_side.samples_per_second(analysis), figures.justified_digits(error_pct))
        css = "rung-measured" if is_measured else "rung-sequential"
        segment = Segment(0.0, 100 * per_sample / full, css, tip(label, f"{text} per sample"))
        bars.append(Bar(label, f"{text} per sample", (segment,), note=f"{rate} samples/s"))
        cells = (
            figures.time(bounds.speed_of_light_us, bounds.speed_of_light_error_pct),
            figures.time(bounds.parallel_us, bounds.parallel_error_pct),
            figures.time(bounds.fused_us, bounds.fused_error_pct),
            figures.time_with_error(bounds.sequential_us, bounds.sequential_error_pct),
            figures.percent(analysis.measured_time_share),
            figures.time(analysis.measured_us, analysis.measured_error_pct),
            rate,
            "fits" if analysis.memory.fits else "does not fit",
        )
        # A figure and its unit stay on one line, however many columns there are.
        rows.append((label, *(cell.replace(" ", "\N{NO-BREAK SPACE}") for cell in cells)))
    headers = (
        "Answer", "Speed of light", "Parallel", "Fused", "Sequential", "Measured share", "In a framework",
        "Samples/s", "Memory",
    )  # fmt: skip
    return BarChart(
        "comparison",
        "Side by side",
        "Time per sample: measured where the whole model was, else one layer after another.",
        tuple(bars),
        DataTable(headers, tuple(rows)),
    )
