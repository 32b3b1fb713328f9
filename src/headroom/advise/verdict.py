"""The one line that a newcomer understands."""

from __future__ import annotations

from collections.abc import Mapping

from headroom.advise.analysis import Bounds, Finding
from headroom.advise.timed import TimedGraph


def duration(time_us: float) -> str:
    """A time with the unit that suits it and three digits: ``17.6 us``, ``1.03 ms``."""
    for limit, scale, unit in ((1e3, 1.0, "us"), (1e6, 1e3, "ms")):
        if time_us < limit * 0.9995:
            return f"{time_us / scale:.3g} {unit}"
    return f"{time_us / 1e6:.3g} s"


def verdict(
    timed: TimedGraph, bounds: Bounds, findings: tuple[Finding, ...], by_bottleneck: Mapping[str, float]
) -> str:
    """How fast, what limits it most, and the largest opportunity, in two or three sentences."""
    graph = timed.graph
    run = f"{graph.name} at batch {graph.batch} in {timed.dtype} on {timed.gpu.name}"
    if not bounds.sequential_us:
        return f"{run}: nothing in this model could be timed."
    rate = graph.batch / bounds.sequential_us * 1e6
    sentences = [
        f"{run} takes about {duration(bounds.sequential_us)} (±{bounds.sequential_error_pct:.0f} %) layer after "
        f"layer, {rate:.3g} samples/s; the hardware's own limit is {duration(bounds.speed_of_light_us)}."
    ]
    limit, time_us = max(by_bottleneck.items(), key=lambda item: item[1])
    sentences.append(f"{time_us / bounds.sequential_us:.0%} of that time is limited by {limit}.")
    if findings:
        best = findings[0]
        sentences.append(
            f"Largest opportunity: {best.title} (saves about {duration(best.saves_us)}, {best.speedup:.2f}x)."
        )
    if bounds.unknown_share:
        sentences.append(f"{bounds.unknown_share:.1%} of the layers are unknown and not in these figures.")
    return " ".join(sentences)
