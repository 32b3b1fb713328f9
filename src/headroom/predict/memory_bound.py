"""Kernels that stream: time follows the bytes, the level that holds them, and the launch.

A streaming kernel's time is that of an empty launch, plus its bytes over the bandwidth of the level that
holds its footprint, reached only after a ramp: a grid too small to fill the GPU has too few loads in flight
(Little's law), which looks like a constant time at small sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.predict.calibration import StreamConstants
from headroom.predict.gemm_time import missing_share

Floats = NDArray[np.float64]

#: Threads per CTA and values per thread of a usual streaming kernel, for its grid.
_VALUES_PER_CTA = 1024.0


@dataclass(frozen=True, slots=True)
class Streams:
    """Streaming kernels, as arrays of shape (P,).

    ``bytes_moved`` is the compulsory traffic, ``factor`` what the usual implementation moves in units of it (two
    passes over the input make it larger than 1), ``passes`` how many dependent sweeps or launches there
    are, ``values`` the number of independent work items, ``flops`` the arithmetic.
    """

    bytes_moved: Floats
    factor: Floats
    passes: Floats
    values: Floats
    flops: Floats


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


def estimate_streams(
    streams: Streams, gpu: GpuSpec, plain_tflops: float, constants: StreamConstants, l2_state: str
) -> StreamEstimate:
    """Time and traffic of every kernel."""
    l2_bytes = streams.bytes_moved * streams.factor
    cache = float(gpu.l2.size_bytes)
    missing = 1.0 if l2_state == "cold" else missing_share(streams.bytes_moved, cache, constants.cache_share)
    dram_bytes = streams.bytes_moved * streams.factor * missing
    l2 = l2_bytes / (max(gpu.l2.bandwidth_gbs, gpu.dram.bandwidth_gbs) * 1e3 * constants.l2_share)
    dram = dram_bytes / (gpu.dram.bandwidth_gbs * 1e3 * constants.dram_share)
    compute = streams.flops / (plain_tflops * 1e6)
    ctas = np.maximum(1.0, np.ceil(streams.values / _VALUES_PER_CTA))
    ramp = constants.ramp_us * streams.passes
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


def transposition_us(
    in_bytes: Floats, out_bytes: Floats, gpu: GpuSpec, constants: StreamConstants, l2_state: str
) -> Floats:
    """Time of the kernels that turn an NCHW input to NHWC and the output back, shape (P,).

    Tensor-core convolutions want channels innermost; a library runs these kernels around them otherwise.
    """
    total = np.zeros_like(in_bytes)
    ones = np.ones_like(in_bytes)
    for part in (in_bytes, out_bytes):
        streams = Streams(2.0 * part, ones, ones, part, 0.0 * part)
        total = total + estimate_streams(streams, gpu, 1.0, constants, l2_state).time_us
    return total
