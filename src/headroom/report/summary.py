"""What both the terminal and the HTML say in words: titles, ladders, shares. One place, so that they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headroom import figures
from headroom.advise.analysis import Analysis, Finding, LayerAnswer
from headroom.advise.latency import latency_of
from headroom.report.answer import overall_source
from headroom.report.your_run import gpu_run, run_times
from headroom.text import view

#: What the shares of a run on the host alone are.
ON_HOST = "What each layer took in your run, which used no GPU. All other times are a GPU's: the two are not compared."

#: A run whose latency without the recorder is below this share of the recorded one says both.
_UNRECORDED = 0.98


@dataclass(frozen=True, slots=True)
class Rung:
    """One bound on the ladder from the speed of light to the sequential bound."""

    key: str
    label: str
    meaning: str
    time_us: float | None
    error_pct: float | None

    @property
    def text(self) -> str:
        return figures.time(self.time_us, self.error_pct)

    @property
    def error_text(self) -> str:
        return "" if self.time_us is None else figures.error(self.error_pct)


def ladder(analysis: Analysis) -> tuple[Rung, ...]:
    """The bounds, the speed of light first, then the measured latency where there is one."""
    bounds = analysis.bounds
    rungs = (
        Rung("speed-of-light", "Speed of light", "the roofline floor of the whole model",
             bounds.speed_of_light_us, bounds.speed_of_light_error_pct),
        Rung("parallel", "Parallel", "independent layers run side by side",
             bounds.parallel_us, bounds.parallel_error_pct),
        Rung("fused", "Fused", "neighbours that can be one kernel are",
             bounds.fused_us, bounds.fused_error_pct),
        Rung("sequential", "Sequential", "every layer, one after another",
             bounds.sequential_us, bounds.sequential_error_pct),
    )  # fmt: skip
    if analysis.measured_us is None:
        return rungs
    label, meaning = "Measured", "what the GPU takes today"
    if gpu_run(analysis) is not None:
        how = "" if is_measured(analysis) else "estimated "
        label, meaning = "Your run", f"{how}from your profile, less what recording cost"
    return (*rungs, Rung("measured", label, meaning, analysis.measured_us, analysis.measured_error_pct))


def subtitle(analysis: Analysis) -> str:
    """``resnet50 on NVIDIA H200 · batch 1 · bf16 · L2 warm``."""
    return " · ".join(
        (f"{view(analysis.model, 60)} on {view(analysis.gpu.name, 60)}", f"batch {analysis.batch}",
         analysis.dtype.value, f"L2 {analysis.l2_state}")
    )  # fmt: skip


def shares(times_us: Mapping[str, float], most: int) -> list[tuple[str, float, float]]:
    """(name, time in microseconds, share) of the largest ``most`` entries; the rest is one row at the end."""
    ordered = sorted(((n, t) for n, t in times_us.items() if t > 0), key=lambda item: (-item[1], item[0]))
    total = sum(time_us for _, time_us in ordered)
    rows = [(view(name or "(no module)", 60), time_us, time_us / total) for name, time_us in ordered[:most]]
    rest = ordered[most:]
    if rest:
        time_us = sum(t for _, t in rest)
        rows.append((f"{len(rest)} more", time_us, time_us / total))
    return rows


def longest(analysis: Analysis) -> list[LayerAnswer]:
    """Configurations by the time of all their occurrences, longest first; the unknown ones are left out.

    With a profile it is the time in the user's run that counts, where the layer had kernels of its own there.
    """
    ran = run_times(analysis)
    timed = [(at, answer) for at, answer in enumerate(analysis.answers) if answer.prediction.time_us is not None]

    def time_us(at: int, answer: LayerAnswer) -> float:
        run_us = ran[at].total_us if at in ran else None
        return answer.total_us if run_us is None else run_us

    return [answer for _, answer in sorted(timed, key=lambda item: -time_us(*item))]


def phases_text(analysis: Analysis) -> str:
    """A language model's two speeds in a sentence; empty for other models."""
    phases = analysis.phases
    if phases is None:
        return ""
    texts = "" if phases.sequences == 1 else f" of each of {phases.sequences} texts"
    prefill = figures.time_with_error(phases.prefill_us, phases.prefill_error_pct)
    decode = figures.time_with_error(phases.decode_us, phases.decode_error_pct)
    digits = figures.justified_digits(phases.decode_error_pct)
    rate = figures.significant(phases.decode_tokens_per_second, digits)
    return (
        f"Prefill, {phases.tokens} tokens{texts} at once: {prefill}. Decode, one more token{texts} with "
        f"{phases.tokens} in the cache ({figures.capacity(phases.cache_bytes)}): {decode}, {rate} tokens/s (predicted)."
    )


def memory_text(analysis: Analysis) -> str:
    """What the model needs beside what the GPU has, and whether it fits."""
    memory = analysis.memory
    needed = memory.weights + memory.peak_activations
    return (
        f"{figures.capacity(needed)} of {figures.capacity(memory.gpu)}, {'fits' if memory.fits else 'does not fit'} "
        f"({figures.capacity(memory.weights)} weights, {figures.capacity(memory.peak_activations)} activations)"
    )


def source_text(analysis: Analysis) -> str:
    """How much of the answer is measured, in one sentence; empty where the model has no layer that does work."""
    layers = sum(answer.count for answer in analysis.answers)
    if not layers:
        return ""
    if not analysis.measured_layers:
        return f"All {overall_source(analysis).value}."
    fused = analysis.bounds.fused_measured_share
    of_fused = "" if fused is None else f" Of the fused bound, {figures.percent(fused)} is measured."
    if analysis.measured_layers == layers:
        return f"All {layers} layers measured.{of_fused}"
    share = figures.percent(analysis.measured_time_share)
    rest = "" if analysis.measured_time_share == 1 else "; the rest is predicted"
    return f"{analysis.measured_layers} of {layers} layers measured, {share} of the time{rest}.{of_fused}"


def source_word(answer: LayerAnswer) -> str:
    """Where a layer's time comes from, in a word; ``noisy`` is a measured time that spreads by more than 10 %."""
    return "noisy" if answer.is_noisy else answer.prediction.source.value


def unknown_text(analysis: Analysis) -> str:
    """What every total leaves out, in one sentence."""
    coverage = analysis.coverage
    count = len(coverage.unknown_layers)
    if not count and analysis.bounds.unknown_share == 0:
        return "Every layer is known; no total leaves anything out."
    layers = "1 layer is" if count == 1 else f"{count} layers are"
    return (
        f"{layers} unknown: every total leaves out {figures.percent(analysis.bounds.unknown_share)} of the layers, "
        f"an estimated {figures.percent(analysis.bounds.unknown_macs_share)} of the macs."
    )


def question_of(analysis: Analysis) -> Mapping[Finding, int]:
    """The number of the question that each finding answers, as far as a question has it."""
    return {finding: answer.number for answer in analysis.questions for finding in answer.findings}


def is_measured(analysis: Analysis) -> bool:
    """Whether the whole run's latency is measured; else it is estimated, out of what a recorder lengthened."""
    latency = latency_of(analysis.execution, analysis.networks)
    return latency is None or latency.is_measured


def profile_text(analysis: Analysis) -> str:
    """What is known of the user's run, in a sentence or two; empty where no profile was given."""
    execution = analysis.execution
    if execution is None:
        return ""
    recorded_us, step = execution.latency_us, execution.step
    takes_us = analysis.measured_us or execution.profile.latency_us or recorded_us
    takes = figures.time(takes_us, analysis.measured_error_pct)
    how = "about" if is_measured(analysis) else "an estimated"
    if takes_us < _UNRECORDED * recorded_us:
        takes = f"{figures.time(recorded_us)} per inference as recorded, {how} {takes} without the recorder"
    else:
        takes += " per inference"
    if not step.launches:
        return (
            f"Your run, from {view(execution.profile.title, 60)}: {takes} on the host alone. Nothing in it ran on a "
            "GPU, so that it cannot tell what is lost there."
        )
    busy = figures.percent(min(step.gpu_busy_us / takes_us, 1.0)) if takes_us > 0 else figures.NOTHING
    return (
        f"Your run, from {view(execution.profile.title, 60)}: {takes}. The GPU is busy for "
        f"{figures.time(step.gpu_busy_us)} of that ({busy}) with {len(step.launches):,} launches; "
        f"{figures.percent(execution.matched_share)} of its busy time is known by layer."
    )


def saved_from(analysis: Analysis) -> str:
    """What savings come off, as the end of "savings come off …"."""
    if gpu_run(analysis) is not None:
        return "the run in your profile"
    return "the layers run one after another"


def named(names: tuple[str, ...], most: int, limit: int) -> str:
    """The first ``most`` names, and how many more there are; empty and repeated names are left out."""
    distinct = list(dict.fromkeys(name for name in names if name))
    shown = ", ".join(view(name, limit) for name in distinct[:most])
    rest = len(distinct) - most
    return f"{shown} and {rest} more" if rest > 0 else shown
