"""The one line that a newcomer understands."""

from __future__ import annotations

import math
from collections.abc import Mapping

from headroom import figures
from headroom.advise.analysis import Bounds, Finding
from headroom.advise.findings import OFF_A_STORED_RUN
from headroom.advise.latency import Latency
from headroom.advise.timed import TimedGraph
from headroom.predict.prediction import Bottleneck, Source

#: What a limit means for someone who meets it for the first time.
_HINTS: dict[str, str] = {
    Bottleneck.LAUNCH: " (kernels too short to fill the GPU: a larger batch costs little more time)",
    Bottleneck.LATENCY: " (too little work in flight: a larger batch costs little more time)",
}


def verdict(
    timed: TimedGraph,
    bounds: Bounds,
    findings: tuple[Finding, ...],
    by_bottleneck: Mapping[str, float],
    latency: Latency | None = None,
) -> str:
    """How fast, how much of that is measured, the headroom, what limits it most, and the largest opportunity.

    ``latency`` is what the whole model takes today.
    """
    graph = timed.graph
    run = f"{graph.name} at batch {graph.batch} in {timed.dtype} on {timed.gpu.name}"
    if not graph.working_layers:
        return f"{run}: no layer of this model does any work, so that nothing has to run."
    if not bounds.sequential_us:
        return f"{run}: nothing in this model could be timed."
    error_pct = bounds.sequential_error_pct
    light = figures.time(bounds.speed_of_light_us, bounds.speed_of_light_error_pct)
    took = figures.time_with_error(bounds.sequential_us, error_pct)
    if bounds.unknown_share:
        sentences = [
            f"{run}: its known layers take about {took} one after another, {light} at the hardware's own limit."
        ]
    else:
        rate = figures.significant(graph.batch / bounds.sequential_us * 1e6, figures.justified_digits(error_pct))
        sentences = [
            f"{run} takes about {took} layer after layer, {rate} samples/s; the hardware's own limit is {light}."
        ]
    sentences += [*_measured(timed), *_headroom(bounds, latency)]
    limit, time_us = max(by_bottleneck.items(), key=lambda item: item[1])
    hint = _HINTS.get(limit, "")
    sentences.append(f"{figures.percent(time_us / bounds.sequential_us)} of that time is limited by {limit}{hint}.")
    if best := next((finding for finding in findings if finding.kind not in OFF_A_STORED_RUN), None):
        saving = figures.time(best.saves_us, best.error_pct)
        sentences.append(f"Largest opportunity: {best.title} (saves about {saving}, {figures.ratio(best.speedup)}).")
    if bounds.unknown_share:
        sentences.append(f"{figures.percent(bounds.unknown_share)} of the layers are unknown and not in these figures.")
    return " ".join(sentences)


def _measured(timed: TimedGraph) -> list[str]:
    """How much of the sequential bound is measured; nothing where none of it is."""
    measured = [pair for pair in timed.pairs() if pair[1].source is Source.MEASURED]
    if not measured:
        return []
    count, layers = sum(configuration.count for configuration, _ in measured), len(timed.graph.working_layers)
    if count == layers:
        return [f"All {layers} layers are measured." if layers > 1 else "Its one layer is measured."]
    time_us = sum((prediction.time_us or 0.0) * configuration.count for configuration, prediction in measured)
    share = figures.percent(time_us / timed.sequential_us)
    return [f"{count} of {layers} layers are measured, {share} of that time."]


def _headroom(bounds: Bounds, latency: Latency | None) -> list[str]:
    """The distance between what was measured and the lowest bound that is made of kernels."""
    if latency is None:
        return []
    name, bound_us, bound_error_pct = (
        ("sequential", bounds.sequential_us, bounds.sequential_error_pct)
        if bounds.fused_us is None
        else ("fused", bounds.fused_us, bounds.fused_error_pct)
    )
    distance_us = latency.time_us - bound_us
    shown = figures.time(abs(distance_us), _relative_pct(latency, distance_us, bound_us, bound_error_pct or 0.0))
    if distance_us < 0:
        return [f"{latency}, {shown} below the {name} bound."]
    share = figures.percent(distance_us / latency.time_us)
    return [f"{latency}: {shown}, {share}, is headroom above the {name} bound."]


def _relative_pct(latency: Latency, distance_us: float, bound_us: float, bound_error_pct: float) -> float:
    """Error bar of the distance between two figures, in percent of the distance."""
    spread_us = math.hypot(latency.time_us * latency.error_pct, bound_us * bound_error_pct)
    return spread_us / abs(distance_us) if distance_us else math.inf
