"""Which GPU should I use? Latency, throughput and the two speeds of a language model, GPU beside GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headroom import figures
from headroom.advise.analysis import Analysis
from headroom.advise.phases import Phases
from headroom.advise.questions.answer import Answer, Cell, Table

NUMBER = 9

#: GPUs that a sentence names before it leaves the rest to the table.
_MOST_NAMED = 3


def which_gpu(analyses: Sequence[Analysis]) -> Answer | None:
    """The GPUs by latency at each batch; None where there is only one."""
    if len({analysis.gpu.id for analysis in analyses}) < 2:
        return None
    tables = [_latencies(analyses)]
    if any(analysis.phases is not None for analysis in analyses):
        tables.append(_phases(analyses))
    return Answer(NUMBER, "Which GPU should I use?", " ".join(_sentences(analyses)), tables=tuple(tables))


def latency(analysis: Analysis) -> tuple[float, float]:
    """The latency to plan with in microseconds, and its error bar in percent: measured where it was, else the bound."""
    if analysis.measured_us is not None:
        return analysis.measured_us, analysis.measured_error_pct
    return analysis.bounds.sequential_us, analysis.bounds.sequential_error_pct


def _sentences(analyses: Sequence[Analysis]) -> Iterator[str]:
    batches = sorted({analysis.batch for analysis in analyses})
    for batch in dict.fromkeys((batches[0], batches[-1])):
        ranked = sorted((a for a in analyses if a.batch == batch and a.memory.fits), key=lambda a: latency(a)[0])
        if len(ranked) < 2:
            continue
        first, *others = ranked
        time_us, error = latency(first)
        ahead = ", ".join(_behind(first, other) for other in others[:_MOST_NAMED])
        yield f"At batch {batch} {_name(first)} answers first, in {figures.time(time_us, error)}; {ahead}."
    phased = [(a, a.phases) for a in analyses if a.phases is not None]
    if len(phased) > 1:
        writer, best = min(phased, key=lambda pair: pair[1].decode_us / pair[1].sequences)
        rate = figures.significant(best.decode_tokens_per_second, figures.justified_digits(best.decode_error_pct))
        yield f"{_name(writer)} writes tokens fastest: {rate} per second with {best.tokens} in the cache."


def _behind(first: Analysis, other: Analysis) -> str:
    """How far a GPU is behind the first, or that their error bars leave it open."""
    (fast, fast_error), (slow, slow_error) = latency(first), latency(other)
    if slow * (1 - slow_error / 100) <= fast * (1 + fast_error / 100):
        return f"{_name(other)} may be as fast: their error bars overlap"
    return f"{_name(other)} takes {figures.significant(slow / fast, 2)} times as long" if fast else _name(other)


def _latencies(analyses: Sequence[Analysis]) -> Table:
    return Table(
        title="Latency and throughput",
        heads=("GPU", "data type", "batch", "latency us", "error pct", "throughput samples/s", "fits", "known by"),
        rows=tuple(_latency_row(analysis) for analysis in analyses),
        note=(
            "Latency is measured where the whole model was; else it is one layer after another, each at its best. Two "
            "GPUs whose error bars overlap cannot be told apart."
        ),
    )


def _latency_row(analysis: Analysis) -> tuple[Cell, ...]:
    time_us, error = latency(analysis)
    share = analysis.measured_time_share
    known = "a run" if analysis.measured_us is not None else "predicted"
    if analysis.measured_us is None and share > 0:
        known = f"{figures.percent(share)} measured"
    rate = 1e6 * analysis.batch / time_us if time_us else None
    fits = "yes" if analysis.memory.fits else "no"
    return (analysis.gpu.name, str(analysis.dtype), analysis.batch, time_us, error, rate, fits, known)


def _phases(analyses: Sequence[Analysis]) -> Table:
    rows = tuple(_phase_row(a, a.phases) for a in analyses if a.phases is not None)
    return Table(
        title="Reading a prompt, writing a token",
        heads=(
            "GPU", "data type", "texts", "prompt tokens", "prefill us", "prefill error pct", "prefill tokens/s",
            "decode us", "decode error pct", "decode tokens/s", "cache bytes",
        ),
        rows=rows,
        note=(
            "Prefill is the model as given, on all tokens at once. Decode is predicted: one more token of each text, "
            "whose attention reads the keys and values of the prompt from a cache."
        ),
    )  # fmt: skip


def _phase_row(analysis: Analysis, phases: Phases) -> tuple[Cell, ...]:
    return (
        analysis.gpu.name, str(analysis.dtype), phases.sequences, phases.tokens, phases.prefill_us,
        phases.prefill_error_pct, phases.prefill_tokens_per_second, phases.decode_us, phases.decode_error_pct,
        phases.decode_tokens_per_second, phases.cache_bytes,
    )  # fmt: skip


def _name(analysis: Analysis) -> str:
    return f"{analysis.gpu.name} in {analysis.dtype}"
