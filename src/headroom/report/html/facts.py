"""The small figures of a page, ready to print: what stands beside the charts."""

from __future__ import annotations

from headroom import figures
from headroom.advise.analysis import Analysis
from headroom.report import side_by_side, summary
from headroom.report.answer import overall_source
from headroom.report.html.charts import DataTable
from headroom.report.runs import runs
from headroom.report.your_run import gpu_run


def small_figures(analysis: Analysis) -> tuple[tuple[str, str, str], ...]:
    """(heading, figure, remark) of the small figures beside the ladder."""
    memory, bounds = analysis.memory, analysis.bounds
    needed = memory.weights + memory.peak_activations
    fits = "fits" if memory.fits else "does not fit"
    weights, activations = figures.capacity(memory.weights), figures.capacity(memory.peak_activations)
    layers = sum(answer.count for answer in analysis.answers)
    return (
        ("Throughput", *_throughput(analysis)),
        *_phases(analysis),
        (
            "Memory",
            figures.capacity(needed),
            f"{fits} in {figures.capacity(memory.gpu)}: {weights} weights, {activations} peak activations",
        ),
        (
            "Work",
            f"{figures.amount(analysis.macs)} macs",
            f"{figures.amount(analysis.flops)} flops in {layers:,} layers, {len(analysis.answers):,} distinct",
        ),
        ("Source", _measured_share(analysis), summary.source_text(analysis)),
        ("Known", figures.percent(1 - bounds.unknown_share), summary.unknown_text(analysis)),
    )


def _phases(analysis: Analysis) -> tuple[tuple[str, str, str], ...]:
    """Reading a prompt and writing a token, for a model that writes text."""
    phases = analysis.phases
    if phases is None:
        return ()
    digits = figures.justified_digits(phases.decode_error_pct)
    rate = figures.significant(phases.decode_tokens_per_second, digits)
    cache = figures.capacity(phases.cache_bytes)
    return (
        (
            "Prefill",
            figures.time_with_error(phases.prefill_us, phases.prefill_error_pct),
            f"{phases.tokens} tokens of {phases.sequences} text{'s' if phases.sequences > 1 else ''} at once",
        ),
        (
            "Decode",
            figures.time_with_error(phases.decode_us, phases.decode_error_pct),
            f"one more token each, predicted: {rate} tokens/s, {phases.tokens} tokens in a cache of {cache}",
        ),
    )


def _throughput(analysis: Analysis) -> tuple[str, str]:
    """Samples per second today, and what they are of; the bound's beside them, which the verdict tells."""
    bounds = analysis.bounds
    digits = figures.justified_digits(side_by_side.latency_error_pct(analysis))
    rate = f"{figures.significant(side_by_side.samples_per_second(analysis), digits)} samples/s"
    if analysis.measured_us is None:
        return rate, "one layer after another"
    ran = "as a framework runs it" if gpu_run(analysis) is None else "in your run"
    if not bounds.sequential_us or bounds.unknown_share:
        return rate, ran
    digits = figures.justified_digits(bounds.sequential_error_pct)
    best = figures.significant(1e6 * analysis.batch / bounds.sequential_us, digits)
    return rate, f"{ran}; {best} with each layer at its best, one after another"


def source_chip(analysis: Analysis) -> str:
    """What the totals are made of, in a word or two."""
    share = analysis.measured_time_share
    return f"{figures.percent(share)} measured" if 0 < share < 1 else overall_source(analysis)


def _measured_share(analysis: Analysis) -> str:
    return f"{figures.percent(analysis.measured_time_share)} measured" if analysis.measured_layers else "predicted"


def run_table(analysis: Analysis) -> DataTable | None:
    """The whole model as frameworks ran it; ``None`` where nobody measured that."""
    rows = tuple(
        (run.mode, run.time, run.error or figures.NOTHING, run.energy, run.memory, run.remark) for run in runs(analysis)
    )
    headers = ("Mode", "Latency", "Error", "Energy per inference", "Peak memory", "Remark")
    return DataTable(headers, rows) if rows else None


def gpu_figures(analysis: Analysis) -> DataTable:
    """The figures of the GPU that the answer leans on most."""
    gpu = analysis.gpu
    rows = (
        ("SMs", f"{gpu.sms}"),
        ("Clock", f"{gpu.clock_mhz:,.0f} MHz"),
        (f"Peak rate, {analysis.dtype.value}", f"{figures.significant(gpu.peak_tflops(analysis.dtype), 3)} TFLOP/s"),
        ("DRAM bandwidth, reachable", f"{gpu.dram.bandwidth_gbs:,.0f} GB/s"),
        ("DRAM bandwidth, nominal", f"{gpu.dram_peak_gbs:,.0f} GB/s"),
        ("L2 cache", figures.capacity(gpu.l2.size_bytes)),
        ("Memory", figures.capacity(gpu.memory_bytes)),
        ("Launch of a kernel, in predictions", figures.time(gpu.launch_us)),
    )
    return DataTable((gpu.name, "Figure"), rows)
