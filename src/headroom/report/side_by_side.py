"""Several answers in one table: GPUs and batches beside each other, and the best batch under a latency."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from headroom import figures
from headroom.advise.analysis import Analysis
from headroom.text import view


def latency_us(analysis: Analysis) -> float:
    """The latency to plan with: measured where it was, else the sequential bound."""
    return analysis.bounds.sequential_us if analysis.measured_us is None else analysis.measured_us


def latency_error_pct(analysis: Analysis) -> float:
    """Error bar of :func:`latency_us`, in percent."""
    return analysis.bounds.sequential_error_pct if analysis.measured_us is None else analysis.measured_error_pct


def samples_per_second(analysis: Analysis) -> float:
    time_us = latency_us(analysis)
    return 1e6 * analysis.batch / time_us if time_us > 0 else 0.0


def best_under(analyses: Sequence[Analysis], max_latency_us: float) -> Analysis | None:
    """The answer with the most samples per second whose latency is at most ``max_latency_us``.

    ``None`` when no answer is fast enough; of two equal ones the smaller batch.
    """
    fast_enough = [a for a in analyses if latency_us(a) <= max_latency_us and a.memory.fits]
    return max(fast_enough, key=lambda a: (samples_per_second(a), -a.batch), default=None)


def above(analyses: Sequence[Analysis], limit_us: float) -> list[str]:
    """A sentence for each answer whose latency is above ``limit_us``."""
    return [
        f"{view(a.model, 60)} at batch {a.batch} on {a.gpu.id} takes {_latency_text(a)}, "
        f"which is above the limit of {figures.time(limit_us)}"
        for a in analyses
        if latency_us(a) > limit_us
    ]


def unchecked(analyses: Sequence[Analysis]) -> list[str]:
    """A sentence for each answer with layers that no limit can be checked for, because nothing is known of them."""
    return [
        f"{view(a.model, 60)} at batch {a.batch} on {a.gpu.id} was held against the limit without "
        f"{figures.percent(a.bounds.unknown_share)} of its layers, which are unknown"
        for a in analyses
        if a.bounds.unknown_share and a.measured_us is None
    ]


def best_lines(analyses: Sequence[Analysis], max_latency_us: float) -> list[str]:
    """One sentence per GPU and data type: the best batch under ``max_latency_us``, or what is closest to it."""
    groups: dict[tuple[str, str], list[Analysis]] = {}
    for analysis in analyses:
        groups.setdefault((analysis.gpu.id, analysis.dtype.value), []).append(analysis)
    return [_best_line(group, max_latency_us) for group in groups.values()]


def _best_line(group: Sequence[Analysis], max_latency_us: float) -> str:
    best, first = best_under(group, max_latency_us), group[0]
    where = f"{view(first.gpu.id, 16)}, {first.dtype.value}"
    limit = figures.time(max_latency_us)
    if best is None:
        closest = min(group, key=latency_us)
        return f"{where}: no batch runs in {limit}; batch {closest.batch} comes closest with {_latency_text(closest)}."
    rate = _rate_text(best)
    return f"{where}: batch {best.batch} is the best under {limit}: {_latency_text(best)}, {rate} samples/s."


def side_by_side(analyses: Sequence[Analysis], max_latency_us: float | None = None) -> RenderableType:
    """A row per answer, what does not fit, and the best batch per GPU where a latency limit is given."""
    # One space between columns: with two, the longest names and figures would not fit 80 columns.
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("GPU", no_wrap=True)
    table.add_column("dtype", no_wrap=True)
    for title in ("batch", "light", "parallel", "fused", "sequential", "± %", "samples/s"):
        table.add_column(title, justify="right", no_wrap=True)
    for analysis in analyses:
        table.add_row(*_row(analysis))
    parts: list[RenderableType] = [table, *(Text(line, style="dim") for line in measured_lines(analyses))]
    parts += [Text(_too_large(analysis), style="red") for analysis in analyses if not analysis.memory.fits]
    if max_latency_us is not None:
        parts += [Text(line, style="bold green") for line in best_lines(analyses, max_latency_us)]
    parts.append(Text(""))
    return Group(*parts)


def measured_lines(analyses: Sequence[Analysis]) -> list[str]:
    """How much of each answer is measured, where any is: answers beside each other may differ most in that."""
    measured = [analysis for analysis in analyses if analysis.measured_layers]
    shares = ", ".join(f"{_short_title(a)} {figures.percent(a.measured_time_share)}" for a in measured)
    return [f"Measured share of the sequential time: {shares}; the rest is predicted."] if measured else []


def notes_of(analyses: Sequence[Analysis]) -> list[str]:
    """Every note once, and of which answers it is where it is not of all."""
    notes = dict.fromkeys(note for analysis in analyses for note in analysis.notes)
    return [f"{whose}: {note}" if (whose := _whose(note, analyses)) else note for note in notes]


def _whose(note: str, analyses: Sequence[Analysis]) -> str:
    """The GPUs whose answers have ``note``, with their batches where others of theirs have not; empty for all."""
    others = {analysis.gpu.id for analysis in analyses if note not in analysis.notes}
    if not others:
        return ""
    own = (analysis for analysis in analyses if note in analysis.notes)
    return ", ".join(dict.fromkeys(_short_title(a) if a.gpu.id in others else view(a.gpu.id, 16) for a in own))


def _short_title(analysis: Analysis) -> str:
    return f"{view(analysis.gpu.id, 16)} batch {analysis.batch}"


def _row(analysis: Analysis) -> tuple[RenderableType, ...]:
    bounds = analysis.bounds
    return (
        Text(view(analysis.gpu.id, 16)),
        analysis.dtype.value,
        str(analysis.batch),
        figures.time(bounds.speed_of_light_us, bounds.speed_of_light_error_pct),
        figures.time(bounds.parallel_us, bounds.parallel_error_pct),
        figures.time(bounds.fused_us, bounds.fused_error_pct),
        Text(figures.time(bounds.sequential_us, bounds.sequential_error_pct), style="bold"),
        figures.error(bounds.sequential_error_pct).removeprefix("± ").removesuffix(" %"),
        _rate_text(analysis),
    )


def _too_large(analysis: Analysis) -> str:
    memory = analysis.memory
    needed = figures.capacity(memory.weights + memory.peak_activations)
    return (
        f"Batch {analysis.batch} in {analysis.dtype} does not fit on {view(analysis.gpu.id, 16)}: "
        f"it needs {needed} of {figures.capacity(memory.gpu)}."
    )


def _latency_text(analysis: Analysis) -> str:
    return figures.time(latency_us(analysis), latency_error_pct(analysis))


def _rate_text(analysis: Analysis) -> str:
    return figures.significant(samples_per_second(analysis), figures.justified_digits(latency_error_pct(analysis)))
