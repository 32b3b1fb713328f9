"""Whether kernels of different layers ran at the same time."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.advise.recorded import Recorded


@dataclass(frozen=True, slots=True)
class Overlap:
    """``time_us`` is how long the GPU worked for two layers or more at once; ``layers`` (indices) are those that did.

    ``streams`` counts the streams that launches ran on.
    """

    time_us: float
    layers: tuple[int, ...]
    streams: int


def overlap_of(run: Recorded) -> Overlap:
    """Launches of different layers that ran at once, on streams of their own."""
    launches = run.step.launches
    moments = sorted(
        moment
        for index, launch in enumerate(launches)
        # An end before a start at the same moment: one after the other is no overlap.
        for moment in ((launch.end_us, 0, index), (launch.start_us, 1, index))
    )
    running: set[int] = set()
    together: set[int] = set()
    time_us, reached_us = 0.0, 0.0
    for moment_us, starts, index in moments:
        layers = {run.layers_of.get(each, ()) for each in running} - {()}
        if len(layers) > 1:
            time_us += moment_us - reached_us
            together |= {layer for each in layers for layer in each}
        reached_us = moment_us
        running = running | {index} if starts else running - {index}
    return Overlap(time_us, tuple(sorted(together)), len({(launch.device, launch.stream) for launch in launches}))
