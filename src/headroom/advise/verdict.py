"""The one line that a newcomer understands."""

from __future__ import annotations

from collections.abc import Mapping

from headroom import figures
from headroom.advise.analysis import Bounds, Finding
from headroom.advise.timed import TimedGraph
from headroom.predict.prediction import Bottleneck

#: What a limit means for someone who meets it for the first time.
_HINTS: dict[str, str] = {
    Bottleneck.LAUNCH: " (kernels too short to fill the GPU: a larger batch costs little more time)",
    Bottleneck.LATENCY: " (too little work in flight: a larger batch costs little more time)",
}


def verdict(
    timed: TimedGraph, bounds: Bounds, findings: tuple[Finding, ...], by_bottleneck: Mapping[str, float]
) -> str:
    """How fast, what limits it most, and the largest opportunity, in two or three sentences."""
    graph = timed.graph
    run = f"{graph.name} at batch {graph.batch} in {timed.dtype} on {timed.gpu.name}"
    if not graph.working_layers:
        return f"{run}: no layer of this model does any work, so that nothing has to run."
    if not bounds.sequential_us:
        return f"{run}: nothing in this model could be timed."
    error_pct = bounds.sequential_error_pct
    rate = figures.significant(graph.batch / bounds.sequential_us * 1e6, figures.justified_digits(error_pct))
    light = figures.time(bounds.speed_of_light_us, bounds.speed_of_light_error_pct)
    sentences = [
        f"{run} takes about {figures.time_with_error(bounds.sequential_us, error_pct)} layer after layer, "
        f"{rate} samples/s; the hardware's own limit is {light}."
    ]
    limit, time_us = max(by_bottleneck.items(), key=lambda item: item[1])
    hint = _HINTS.get(limit, "")
    sentences.append(f"{figures.percent(time_us / bounds.sequential_us)} of that time is limited by {limit}{hint}.")
    if findings:
        best = findings[0]
        saving = figures.time(best.saves_us, best.error_pct)
        sentences.append(f"Largest opportunity: {best.title} (saves about {saving}, {figures.ratio(best.speedup)}).")
    if bounds.unknown_share:
        sentences.append(f"{figures.percent(bounds.unknown_share)} of the layers are unknown and not in these figures.")
    return " ".join(sentences)
