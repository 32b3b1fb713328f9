"""Latency of shared memory, L1, L2 and DRAM: one thread follows a random cycle through a footprint.

A random cycle visits every line once before it returns, so that neither prefetching nor luck shortens a hop.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np

from headroom.measure.kernels.registry import CONSTANTS
from headroom.measure.probe.bench import ProbeBench, expect
from headroom.measure.probe.curve import Curve, edge, footprints, two_groups, value_at
from headroom.measure.probe.result import Figure, Findings

_KIB, _MIB, _GIB = 2**10, 2**20, 2**30

#: One pointer per cache line.
LINE_BYTES = 128
_LINE_WORDS = LINE_BYTES // 8

#: Measured hops: some milliseconds at DRAM.
_HOPS = 8192

#: Up to so many lines the cycle is run through once before, which brings it into L1.
_WARM_LINES = 8192

_SHARED_WORDS = 2048
_IN_L1 = 8 * _KIB


@dataclass(frozen=True, slots=True)
class Cycle:
    """A random cycle through the first ``lines`` lines of a buffer: line ``order[i]`` points to ``order[i + 1]``."""

    order: Any
    base: int

    @property
    def lines(self) -> int:
        return int(self.order.numel())

    def address(self, hops: int) -> int:
        """Where the chase is after that many hops from line ``order[0]``."""
        return self.base + int(self.order[hops % self.lines]) * LINE_BYTES


def lay_cycle(bench: ProbeBench, buffer: Any, footprint: int) -> Cycle:
    """Write a random cycle through the first ``footprint`` bytes of ``buffer`` (64-bit words), and read it into L2."""
    torch = bench.torch
    lines = footprint // LINE_BYTES
    order = torch.randperm(lines, device=buffer.device)
    buffer[order * _LINE_WORDS] = buffer.data_ptr() + order.roll(-1) * LINE_BYTES
    # What was written in part may sit in L2 with gaps; a read of everything fills them.
    buffer[: lines * _LINE_WORDS].sum()
    return Cycle(order, buffer.data_ptr())


def global_memory(bench: ProbeBench) -> Findings:
    """The staircase of L1, L2 and DRAM."""
    largest = min(_GIB, bench.free_bytes() // 4)
    buffer = bench.launcher.zeros(largest // 8)
    sizes = footprints(4 * _KIB, largest, bench.per_octave)
    laps = [_chase(bench, lay_cycle(bench, buffer, size)) for size in sizes]
    curve = Curve("load latency", "bytes", "ns", tuple((size, ns) for size, (ns, _) in zip(sizes, laps, strict=True)))
    clock = statistics.median(mhz for _, mhz in laps)
    places = {"l1": _IN_L1, "l2": bench.l2_bytes / 8, "dram": min(8 * bench.l2_bytes, sizes[-1])}
    levels = {level: value_at(curve, place) for level, place in places.items()}
    figures = [
        Figure(f"{level}_latency_ns", ns, "ns", f"random cycle through {places[level] / _KIB:.0f} KiB", clock)
        for level, ns in levels.items()
    ]
    size = edge(curve, levels["l1"], levels["l2"])
    if size is not None:
        figures.append(Figure("l1_latency_edge_bytes", size, "bytes", "cycle at which loads begin to miss L1"))
    near_and_far = _near_and_far(bench, lay_cycle(bench, buffer, bench.l2_bytes // 8), levels["l2"], clock)
    return Findings((*figures, *near_and_far), (curve,))


def _chase(bench: ProbeBench, cycle: Cycle) -> tuple[float, float]:
    """Nanoseconds per hop by the SM's clock, and that clock in MHz."""
    warm = cycle.lines if cycle.lines <= _WARM_LINES else 0
    end, laps = bench.launcher.zeros(1), bench.launcher.zeros(2)
    numbers = (np.uint64(cycle.address(0)), np.uint32(warm), np.uint32(_HOPS))
    bench.launcher.launch("chase_global", 1, 1, *numbers, end, laps)
    expect(int(end) == cycle.address(warm + _HOPS), "the end of the pointer chase")
    clocks, ns = laps.tolist()
    # The timer of the GPU ticks coarsely and a chase in L1 is short: clocks tell its length, both together the rate.
    clock_mhz = 1e3 * clocks / ns if ns > 100_000 else bench.usual_clock_mhz
    return 1e3 * clocks / clock_mhz / _HOPS, clock_mhz


def _near_and_far(bench: ProbeBench, cycle: Cycle, mean_ns: float, clock_mhz: float) -> tuple[Figure, ...]:
    """L2's two halves, where an SM is nearer to one of them: single hops fall into two groups."""
    hops = min(CONSTANTS["MOST_HOPS"], cycle.lines)
    end, clocks = bench.launcher.zeros(1), bench.launcher.zeros(hops, dtype=bench.torch.int32)
    bench.launcher.launch("chase_each", 1, 1, np.uint64(cycle.address(0)), np.uint32(hops), end, clocks)
    expect(int(end) == cycle.address(hops), "the end of the pointer chase, hop by hop")
    hop_ns = [1e3 * value / clock_mhz for value in clocks.tolist()]
    groups = two_groups(hop_ns)
    if groups is None:
        return ()
    # Reading the clock around each hop takes time of its own, which the uninterrupted chase does not have.
    extra = statistics.fmean(hop_ns) - mean_ns
    return tuple(
        Figure(f"l2_{name}_latency_ns", ns - extra, "ns", "single hops, the lower and the upper group", clock_mhz)
        for name, ns in zip(("near", "far"), groups, strict=True)
    )


def shared(bench: ProbeBench) -> Findings:
    """One thread follows a random cycle through 8 KiB of shared memory."""
    torch = bench.torch
    order = torch.randperm(_SHARED_WORDS, device=bench.launcher.device)
    following = bench.launcher.zeros(_SHARED_WORDS, dtype=torch.int32)
    following[order] = (order.roll(-1) * 4).to(torch.int32)
    end, laps = bench.launcher.zeros(1, dtype=torch.int32), bench.launcher.zeros(2)
    # The chase starts at word 0, wherever in the cycle that is.
    start = int((order == 0).nonzero())
    bench.launcher.launch("chase_shared", 1, 1, following, np.uint32(_SHARED_WORDS), np.uint32(_HOPS), end, laps)
    expect(int(end) == 4 * int(order[(start + _HOPS) % _SHARED_WORDS]), "the end of the chase in shared memory")
    clocks = int(laps[0])
    ns = 1e3 * clocks / bench.usual_clock_mhz / _HOPS
    how = f"random cycle through {4 * _SHARED_WORDS // _KIB} KiB"
    return Findings((Figure("shared_latency_ns", ns, "ns", how, bench.usual_clock_mhz),))
