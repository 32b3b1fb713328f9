"""Kernels that stream: time follows the bytes, the level that holds them, and the launch.

A streaming kernel's time is that of an empty launch, plus its bytes over the bandwidth of the level that
holds its footprint, reached only after a ramp: a grid too small to fill the GPU has too few loads in flight
(Little's law), which looks like a constant time at small sizes. A kernel that spends many instructions per value, or
a CTA per short row, is limited by the SMs' issue slots instead: that is counted in SM cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.predict.cache_misses import missing_share
from headroom.predict.constants import KernelCost, StreamConstants, left_behind
from headroom.predict.prediction import Bottleneck

Floats = NDArray[np.float64]

#: What can limit a streaming kernel, in the order in which of equal terms the first counts.
STREAM_LIMITS = (Bottleneck.LAUNCH, Bottleneck.LATENCY, Bottleneck.L2, Bottleneck.DRAM, Bottleneck.COMPUTE)

#: Threads per CTA and values per thread of a usual streaming kernel, for its grid.
_VALUES_PER_CTA = 1024.0


@dataclass(frozen=True, slots=True)
class Streams:
    """Streaming kernels, as arrays of shape (P,).

    ``bytes_moved`` is the compulsory traffic, ``factor`` what the usual implementation moves in units of it (two
    passes over the input make it larger than 1), ``passes`` how many dependent sweeps or launches there
    are, ``values`` the number of independent work items, ``flops`` the arithmetic, ``groups`` the rows that
    are reduced on their own (0 where nothing is), ``taps`` the values that an item gathers (1 for most).
    """

    bytes_moved: Floats
    factor: Floats
    passes: Floats
    values: Floats
    flops: Floats
    groups: Floats
    taps: Floats


@dataclass(frozen=True, slots=True)
class StreamEstimate:
    """Arrays of shape (P,); times in microseconds."""

    time_us: Floats
    launch_us: Floats
    ramp_us: Floats
    l2_us: Floats
    dram_us: Floats
    compute_us: Floats
    l2_bytes: Floats
    dram_bytes: Floats
    ctas: Floats

    @property
    def is_short(self) -> NDArray[np.bool_]:
        """Where launch and ramp are at least half of the time: such rows have error bars of their own."""
        return 2.0 * (self.launch_us + self.ramp_us) >= self.time_us

    @property
    def limit(self) -> NDArray[np.intp]:
        """The place of the longest term in :data:`STREAM_LIMITS`."""
        terms = np.broadcast_arrays(self.launch_us, self.ramp_us, self.l2_us, self.dram_us, self.compute_us)
        longest: NDArray[np.intp] = np.argmax(np.stack(terms), axis=0)
        return longest


def estimate_streams(
    streams: Streams,
    sorts: Sequence[str],
    gpu: GpuSpec,
    plain_tflops: float,
    constants: StreamConstants,
    l2_state: str,
) -> StreamEstimate:
    """Time and traffic of every kernel; ``sorts`` names each one's sort (``softmax``, ``transposition``, ...)."""
    cost = _costs(sorts, gpu, constants)
    l2_bytes = streams.bytes_moved * streams.factor * cost["factor"]
    cache = gpu.l2.size_bytes
    missing = 1.0 if l2_state == "cold" else missing_share(streams.bytes_moved, cache, constants.cache_share)
    dram_bytes = l2_bytes * missing
    l2 = l2_bytes / (np.maximum(gpu.l2.bandwidth_gbs, gpu.dram.bandwidth_gbs) * 1e3 * constants.l2_share)
    dram = dram_bytes / (gpu.dram.bandwidth_gbs * 1e3 * constants.dram_share)
    first_us = 0.0
    if l2_state == "cold":
        first_us = constants.cold_us
        dram = dram * (1.0 + constants.written_back * left_behind(dram_bytes))
    cycles = cost["value_cycles"] * streams.values * streams.taps + cost["group_cycles"] * streams.groups
    compute = np.maximum(streams.flops / (plain_tflops * 1e6), cycles / (gpu.sms * gpu.clock_mhz))
    ctas = np.maximum(1.0, np.ceil(streams.values / _VALUES_PER_CTA))
    ramp = first_us + constants.ramp_us * streams.passes + cost["start_us"] + cost["tap_us"] * streams.taps
    launch = constants.launch_us_on(gpu) + 0.0 * l2
    return StreamEstimate(
        time_us=launch + ramp + np.maximum(np.maximum(l2, dram), compute),
        launch_us=launch,
        ramp_us=ramp,
        l2_us=l2,
        dram_us=dram,
        compute_us=compute,
        l2_bytes=l2_bytes,
        dram_bytes=dram_bytes,
        ctas=ctas,
    )


def _costs(sorts: Sequence[str], gpu: GpuSpec, constants: StreamConstants) -> dict[str, Floats]:
    """Each field of the kernels' costs as an array of shape (P,)."""
    names, place = np.unique(np.asarray(sorts, dtype=np.str_), return_inverse=True)
    known = [constants.cost_on(gpu, str(name)) for name in names]
    return {
        field.name: np.array([getattr(cost, field.name) for cost in known], dtype=np.float64)[place]
        for field in fields(KernelCost)
    }


def transposition_us(
    in_bytes: Floats, out_bytes: Floats, gpu: GpuSpec, constants: StreamConstants, l2_state: str
) -> Floats:
    """Time of the kernels that turn an NCHW input to NHWC and the output back, shape (P,).

    Tensor-core convolutions want channels innermost; a library runs these kernels around them otherwise.
    """
    total = np.zeros_like(in_bytes)
    ones = np.ones_like(in_bytes)
    # The convolution library has its own transposing kernels, which copy at full speed.
    sorts = ["layout"] * len(in_bytes)
    for part in (in_bytes, out_bytes):
        streams = Streams(2.0 * part, ones, ones, part, 0.0 * part, 0.0 * part, ones)
        total = total + estimate_streams(streams, sorts, gpu, 1.0, constants, l2_state).time_us
    return total
