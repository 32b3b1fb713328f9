"""The bar charts: ladder of bounds, where the time goes, the longest layers."""

from __future__ import annotations

from collections.abc import Mapping

from headroom import figures
from headroom.advise.analysis import Analysis, LayerAnswer
from headroom.report import summary
from headroom.report.html.charts import Bar, BarChart, DataTable, Segment, css_name, legend_of, tip
from headroom.report.your_run import gpu_run, run_times
from headroom.text import view

_TOP_LAYERS = 20
_TOP_SHARES = 10


def ladder_chart(analysis: Analysis) -> BarChart:
    """The bounds, each with its error bar."""
    rungs = summary.ladder(analysis)
    known = [(r.time_us or 0.0) * (1 + _fraction(r.error_pct)) for r in rungs]
    full_us = max(known, default=0.0) or 1.0
    bars = tuple(_rung(rung, full_us) for rung in rungs)
    rows = tuple((rung.label, rung.text, rung.error_text or figures.NOTHING, rung.meaning) for rung in rungs)
    return BarChart(
        "ladder",
        "How fast it could run",
        "Nothing is faster than the speed of light. Parallel and fused each change one thing about the sequential "
        "bound, so that either may be the lower. The thin line at the end of a bar is its error bar.",
        bars,
        DataTable(("Bound", "Time", "Error", "What it assumes"), rows),
    )


def _rung(rung: summary.Rung, full_us: float) -> Bar:
    if rung.time_us is None:
        return Bar(rung.label, figures.NOTHING, (), rung.meaning, "no fused implementation is known")
    at = 100 * rung.time_us / full_us
    facts = tip(f"{rung.label}: {rung.text} {rung.error_text}", rung.meaning)
    spread = at * _fraction(rung.error_pct)
    return Bar(
        rung.label,
        rung.text,
        (Segment(0.0, at, f"rung-{rung.key}", facts),),
        rung.meaning,
        rung.error_text,
        (max(at - spread, 0.0), min(at + spread, 100.0)),
    )


def share_chart(
    key: str, title: str, explanation: str, times_us: Mapping[str, float], error_pct: float, *, coloured: bool
) -> BarChart:
    """Shares of a sum; ``coloured`` names are kinds or bottlenecks, which have a colour."""
    rows = summary.shares(times_us, _TOP_SHARES)
    longest = max((share for _, _, share in rows), default=1.0)
    bars = []
    for name, time_us, share in rows:
        text = figures.time(time_us, error_pct)
        css = "c-rest" if name not in times_us else css_name(name) if coloured else "c-plain"
        segment = Segment(0.0, 100 * share / longest, css, tip(name, f"{text}, {figures.percent(share)}"))
        bars.append(Bar(name, text, (segment,), note=figures.percent(share)))
    table = tuple((name, figures.time(time_us, error_pct), figures.percent(share)) for name, time_us, share in rows)
    return BarChart(key, title, explanation, tuple(bars), DataTable((title, "Time", "Share"), table))


def layer_chart(analysis: Analysis) -> BarChart:
    """The longest configurations, coloured by what limits them, with their speed of light as a tick.

    With a profile a pale piece behind each bar reaches to what the layer took in the user's run.
    """
    answers = summary.longest(analysis)[:_TOP_LAYERS]
    ran_us = {id(analysis.answers[position]): run.total_us for position, run in run_times(analysis).items()}
    tops_us = [a.total_us * (1 + _fraction(a.prediction.error_pct)) for a in answers]
    full_us = max([*tops_us, *(ran_us.get(id(a)) or 0.0 for a in answers)], default=0.0) or 1.0
    sequential_us, has_run = analysis.bounds.sequential_us, gpu_run(analysis) is not None
    bars = tuple(_layer_bar(answer, full_us, sequential_us, ran_us.get(id(answer))) for answer in answers)
    rows = tuple(
        (
            view(answer.layer.name),
            str(answer.count),
            figures.time_with_error(answer.total_us, answer.prediction.error_pct),
            *([figures.time(ran_us.get(id(answer)))] if has_run else []),
            figures.time(answer.prediction.floor_us * answer.count),
            answer.prediction.bottleneck.value,
        )
        for answer in answers
    )
    return BarChart(
        "layers",
        "The longest layers",
        f"{_LAYERS_HELP} {_YOUR_RUN_HELP}" if has_run else _LAYERS_HELP,
        bars,
        DataTable(("Layer", "Count", "Time", *(["Your run"] if has_run else []), "Speed of light", "Limited by"), rows),
        legend_of([answer.prediction.bottleneck.value for answer in answers]),
        mono=True,
    )


_LAYERS_HELP = (
    "Time of all occurrences together, each at its best, coloured by what limits the layer. The upright mark is the "
    "layer's own speed of light: the distance between mark and bar is its headroom."
)
_YOUR_RUN_HELP = "The pale piece behind a bar is what your run took above it."


def _layer_bar(answer: LayerAnswer, full_us: float, sequential_us: float, run_us: float | None) -> Bar:
    prediction = answer.prediction
    at = 100 * answer.total_us / full_us
    spread = at * _fraction(prediction.error_pct)
    share = answer.total_us / sequential_us if sequential_us > 0 else 0.0
    total = figures.time_with_error(answer.total_us, prediction.error_pct)
    facts = tip(
        view(answer.layer.name) + (f" × {answer.count}" if answer.count > 1 else ""),
        f"{total} ({prediction.source.value}), {figures.percent(share)} of the model",
        "" if run_us is None else f"{figures.time(run_us)} in your run",
        f"limited by {prediction.bottleneck.value}",
        f"speed of light {figures.time(prediction.floor_us * answer.count)}",
    )
    segments = [Segment(0.0, at, css_name(prediction.bottleneck.value), facts)]
    if run_us is not None and run_us > answer.total_us:
        segments.append(Segment(at, 100 * run_us / full_us - at, "your-run", facts))
    return Bar(
        view(answer.layer.name, 80),
        figures.time(answer.total_us, prediction.error_pct),
        tuple(segments),
        f"{answer.layer.kind.value}" + (f" × {answer.count}" if answer.count > 1 else ""),
        figures.percent(share) if run_us is None else f"run {figures.time(run_us)}",
        (max(at - spread, 0.0), min(at + spread, 100.0)),
        100 * prediction.floor_us * answer.count / full_us,
    )


def _fraction(error_pct: float | None) -> float:
    """An error bar as a fraction, cut at the figure itself so that one wild guess does not shrink the chart."""
    return min((error_pct or 0.0) / 100, 1.0)
