"""Latency of DRAM against traffic: one thread follows a chain of pointers while all other CTAs read a stream.

As in appendix B of the DeLTA paper: latency stays what it is until the DRAM's channels fill up, then climbs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headroom.measure.probe.bench import ProbeBench, expect
from headroom.measure.probe.curve import Curve
from headroom.measure.probe.latency import Cycle, lay_cycle
from headroom.measure.probe.result import Figure, Findings

_MIB = 2**20

#: What every word of the stream holds: the sum of the words read then tells how many there were.
_STREAM_WORD = 0x01234567

_THREADS = 512
_HOPS = 2000

#: SM clocks that each thread rests between two batches of loads: from almost no traffic to as much as there can be.
_RESTS = (262_144, 65_536, 32_768, 16_384, 8_192, 4_096, 2_048, 1_024, 512, 256, 0)


def dram(bench: ProbeBench) -> Findings:
    """Nanoseconds per dependent load against GB/s of other traffic."""
    half = min(512 * _MIB, bench.free_bytes() // 8)
    cycle = lay_cycle(bench, buffer := bench.launcher.zeros(half // 8), half)
    stream = bench.torch.full((half // 4,), _STREAM_WORD, dtype=bench.torch.int32, device=bench.launcher.device)
    rests = _RESTS[::2] if bench.quick else _RESTS
    points = sorted(_chase_under_traffic(bench, cycle, stream, rest) for rest in rests)
    assert buffer is not None  # the cycle's addresses point into it
    curve = Curve("load latency under traffic", "GB/s", "ns", tuple(points))
    (idle_gbs, idle_ns), (full_gbs, full_ns) = points[0], points[-1]
    return Findings(
        (
            Figure("dram_idle_latency_ns", idle_ns, "ns", f"beside {idle_gbs:.0f} GB/s of other traffic"),
            Figure("dram_loaded_latency_ns", full_ns, "ns", f"beside {full_gbs:.0f} GB/s of other traffic"),
        ),
        (curve,),
    )


def _chase_under_traffic(bench: ProbeBench, cycle: Cycle, stream: Any, rest: int) -> tuple[float, float]:
    """(GB/s of the stream, nanoseconds per hop)."""
    streaming = 2 * bench.sms
    vectors = stream.numel() // 4
    end, state = bench.launcher.zeros(1), bench.launcher.zeros(1, dtype=bench.torch.int32)
    totals, laps = bench.launcher.zeros(2), bench.launcher.zeros(2)
    step = np.uint32(streaming * _THREADS % vectors)
    chase = (np.uint64(cycle.address(0)), np.uint32(_HOPS), end)
    reading = (stream, np.uint32(vectors), step, np.uint32(rest), state, totals, laps)
    bench.launcher.launch("chase_loaded", 1 + streaming, _THREADS, *chase, *reading)
    expect(int(end) == cycle.address(_HOPS), "the end of the pointer chase under traffic")
    words, total = totals.tolist()
    expect(total == words * _STREAM_WORD, "the sum of the stream")
    _, ns = laps.tolist()
    return 4 * words / ns, ns / _HOPS
