"""What a launch costs: empty kernels back to back, from a stream and from a CUDA graph."""

from __future__ import annotations

import statistics

from headroom.measure.probe.bench import Launch, ProbeBench
from headroom.measure.probe.result import Figure, Findings

#: Fewer than a stream's queue holds, so that the host can enqueue all of them while the GPU is held.
_LAUNCHES = 400

#: Far more than the host needs to enqueue them.
_HOLD_NS = 30_000_000


def launches(bench: ProbeBench) -> Findings:
    """Microseconds from one empty kernel to the next, with the host well ahead."""

    def from_stream() -> None:
        for _ in range(_LAUNCHES):
            bench.launcher.launch("empty", 1, 32)

    from_stream()  # loads the kernel, which a capture forbids
    from_graph = bench.captured(from_stream)
    return Findings(
        (
            Figure("launch_us", _each_us(bench, from_stream), "us", "empty kernels queued in a stream"),
            Figure("launch_graph_us", _each_us(bench, from_graph), "us", "empty kernels of a CUDA graph"),
        )
    )


def _each_us(bench: ProbeBench, run: Launch) -> float:
    run()
    # One at a time: more than one would overfill the queue.
    times = [bench.laps_us(run, 1, _HOLD_NS)[0] for _ in range(3)]
    return statistics.median(times) / _LAUNCHES
