"""Bandwidth of L1, shared memory, L2 and DRAM, against footprint and against the number of threads that ask."""

from __future__ import annotations

from typing import Any

import numpy as np

from headroom.measure.kernels.registry import CONSTANTS
from headroom.measure.probe.bench import ProbeBench, expect, ring_sum
from headroom.measure.probe.curve import Curve, edge, footprints, value_at
from headroom.measure.probe.result import Figure, Findings

_KIB, _MIB, _GIB = 2**10, 2**20, 2**30
_LOADS = CONSTANTS["LOADS"]
_LOAD_BYTES = 16

#: Threads of a CTA that has an SM to itself, and of those that share one.
_ONE_CTA = 1024
_SHARING_CTA = 512

#: What one launch reads, per SM from L1 or shared memory and in all from L2 or DRAM: a fraction of a millisecond.
_SM_TRAFFIC = 64 * _MIB
_GPU_TRAFFIC = 3 * _GIB // 2

#: A footprint that is well inside L1 on every GPU since Turing.
_IN_L1 = 16 * _KIB

_THREADS = (32, 64, 128, 256, 512, 1024)


def l1(bench: ProbeBench) -> Findings:
    """Each SM reads a ring of its own: bandwidth against the ring's size, and against threads for a ring in L1."""
    data = bench.random_words(bench.sms * _MIB // 4)
    sizes = footprints(4 * _KIB, _MIB, bench.per_octave)
    by_size = Curve(
        "read per SM, through L1", "bytes per SM", "GB/s",
        tuple((size, _read_l1(bench, data, size, _ONE_CTA)) for size in sizes),
    )  # fmt: skip
    by_threads = Curve(
        "read from L1", "threads per SM", "GB/s",
        tuple((threads, _read_l1(bench, data, _IN_L1, threads)) for threads in _THREADS),
    )  # fmt: skip
    level, beyond = value_at(by_size, _IN_L1), by_size.points[-1][1]
    size = edge(by_size, level, beyond)
    figures = [Figure("l1_bandwidth_gbs", level, "GB/s", "16-byte loads, a ring per SM")]
    if size is not None:
        figures.append(Figure("l1_edge_bytes", size, "bytes", "ring per SM at which L1's bandwidth ends"))
    return Findings(tuple(figures), (by_size, by_threads))


def _read_l1(bench: ProbeBench, data: Any, footprint: int, threads: int) -> float:
    """GB/s of all SMs together, a CTA on each."""
    vectors = footprint // _LOAD_BYTES
    batches = max(1, _SM_TRAFFIC // (threads * _LOADS * _LOAD_BYTES))
    sums = bench.launcher.zeros(bench.sms, dtype=bench.torch.int32)
    sms = bench.launcher.zeros(bench.sms, dtype=bench.torch.int32)
    laps = bench.launcher.zeros(2 * bench.sms)
    numbers = [np.uint32(number) for number in (vectors, threads % vectors, batches)]

    def launch() -> None:
        bench.launcher.launch("read_l1", bench.sms, threads, data, *numbers, sums, sms, laps)

    launch()
    rings = data[: bench.sms * 4 * vectors].view(bench.sms, -1)
    loads = threads * batches * _LOADS
    expect([s % 2**32 for s in sums.tolist()] == [ring_sum(ring, loads) for ring in rings], "the sum read through L1")
    if threads == _ONE_CTA:
        # Smaller CTAs may share an SM while another has none; the work per SM is known for whole ones only.
        expect(len(set(sms.tolist())) == bench.sms, "the number of SMs that took part")
    return bench.sms * loads * _LOAD_BYTES / bench.time_us(launch) / 1e3


def shared(bench: ProbeBench) -> Findings:
    """Each SM reads 32 KiB of its shared memory over and over, with more and more threads."""
    data = bench.random_words(CONSTANTS["SHARED_BYTES"] // 4)
    curve = Curve(
        "read from shared memory", "threads per SM", "GB/s",
        tuple((threads, _read_shared(bench, data, threads)) for threads in _THREADS),
    )  # fmt: skip
    best = max(y for _, y in curve.points)
    return Findings((Figure("shared_bandwidth_gbs", best, "GB/s", "16-byte loads without bank conflicts"),), (curve,))


def _read_shared(bench: ProbeBench, data: Any, threads: int) -> float:
    batches = _SM_TRAFFIC // (threads * _LOADS * _LOAD_BYTES)
    sums = bench.launcher.zeros(bench.sms, dtype=bench.torch.int32)
    laps = bench.launcher.zeros(2 * bench.sms)

    def launch() -> None:
        bench.launcher.launch("read_shared", bench.sms, threads, data, np.uint32(batches), sums, laps)

    launch()
    loads = threads * batches * _LOADS
    expected = ring_sum(data, loads)
    expect(all(s % 2**32 == expected for s in sums.tolist()), "the sum read from shared memory")
    return bench.sms * loads * _LOAD_BYTES / bench.time_us(launch) / 1e3


def l2_and_dram(bench: ProbeBench) -> Findings:
    """All SMs go round one ring together, past L1: bandwidth against its size shows L2, then DRAM."""
    largest = min(_GIB, bench.free_bytes() // 4)
    data = bench.random_words(largest // 4)
    sizes = footprints(_MIB // 4, largest, bench.per_octave)
    curve = Curve(
        "read past L1", "bytes", "GB/s", tuple((size, _read_past_l1(bench, data, size)) for size in sizes)
    )  # fmt: skip
    in_l2, in_dram = value_at(curve, bench.l2_bytes / 6), value_at(curve, min(8 * bench.l2_bytes, sizes[-1]))
    figures = [
        Figure("l2_bandwidth_gbs", in_l2, "GB/s", "16-byte loads past L1, a ring in a sixth of L2"),
        Figure("dram_bandwidth_gbs", in_dram, "GB/s", "16-byte loads past L1, a ring of eight times L2"),
    ]
    size = edge(curve, in_l2, in_dram)
    if size is not None:
        figures.append(Figure("l2_edge_bytes", size, "bytes", "ring at which L2's bandwidth ends"))
    return Findings(tuple(figures), (curve,))


def _read_past_l1(bench: ProbeBench, data: Any, footprint: int) -> float:
    vectors = footprint // _LOAD_BYTES
    # One CTA fewer than an SM's threads would allow: its registers would not suffice for all.
    grid = bench.sms * max(1, bench.threads_per_sm // _SHARING_CTA - 1)
    threads = grid * _SHARING_CTA
    batches = max(1, _GPU_TRAFFIC // (threads * _LOADS * _LOAD_BYTES))
    total = bench.launcher.zeros(1, dtype=bench.torch.int32)
    laps = bench.launcher.zeros(2 * grid)
    numbers = [np.uint32(number) for number in (vectors, threads % vectors, batches)]

    def launch() -> None:
        bench.launcher.launch("read_past_l1", grid, _SHARING_CTA, data, *numbers, total, laps)

    launch()
    loads = threads * batches * _LOADS
    expect(int(total) % 2**32 == ring_sum(data[: 4 * vectors], loads), "the sum read past L1")
    return loads * _LOAD_BYTES / bench.time_us(launch) / 1e3
