"""The time of tiled matrix products, for many of them and many tiles at once.

A product is cut into CTAs of ``tile_m x tile_n``; each SM runs as many at once as its registers and shared
memory hold, and takes the next when one ends. The model follows DeLTA's streams (section V: compute, shared
memory, L2, DRAM, latency), in a form that needs only additions, multiplications, divisions, rounding and
square roots on float64 arrays: those are exact to the last bit, so a row alone and the same row in a table of
100,000 give the same number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.cache_misses import missing_share, read_again
from headroom.predict.constants import GemmConstants, left_behind
from headroom.predict.cta_costs import idle_us, step_us
from headroom.predict.gemm_problems import Floats, Problems, Tiles

#: Registers that a thread needs beside its accumulators: fragments, addresses, loop counters.
_REGISTERS_BESIDE_ACCUMULATORS = {"plain": 60.0, "tensor": 90.0}

#: Bytes of K that the model counts the shortest main-loop time in.
_SLICE_BYTES = 64.0

#: Output elements per thread of a plain tile: cuDNN and cuBLAS kernels compute 8x8 blocks per thread.
_OUTPUTS_PER_PLAIN_THREAD = 64.0

#: K elements that a group of warps of a plain tile takes in one step.
_PLAIN_STEP_DEPTH = 8.0

#: Tensor-core kernels give a warp up to 64x64 outputs, and have four warps at least, one per SM quarter.
_OUTPUTS_PER_TENSOR_WARP, _LEAST_TENSOR_WARPS = 4096.0, 4.0

#: States of the cache in benchmarks that take the next of several copies of an operand at every launch, so that a large
#: one is never in the cache: which operands have copies, A and B.
_COPIED = {"weights-rotated": (False, True), "operands-rotated": (True, True)}
_COPIES = 6.0

#: Buffers of both input tiles in shared memory: double buffering, or a short asynchronous pipeline.
_STAGES = {"plain": 2.0, "tensor": 3.0}

_THREADS_PER_WARP = 32.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the model says: arrays in the broadcast shape of products and tiles, times in microseconds."""

    time_us: Floats
    compute_us: Floats
    l2_us: Floats
    dram_us: Floats
    latency_us: Floats
    launch_us: Floats
    l1_bytes: Floats
    l2_bytes: Floats
    dram_bytes: Floats
    ctas: Floats
    waves: Floats
    tail_utilization: Floats

    @property
    def is_short(self) -> NDArray[np.bool_]:
        """Where launch and latency are at least half of the time: such rows have error bars of their own."""
        return 2.0 * (self.launch_us + self.latency_us) >= self.time_us

    def take(self, index: NDArray[np.intp]) -> Estimate:
        """The chosen candidate of every product: shape (P, C) to (P,)."""
        rows = np.arange(len(index))
        return Estimate(*(getattr(self, name)[rows, index] for name in self.__slots__))

    @classmethod
    def concatenate(cls, parts: list[Estimate]) -> Estimate:
        """Estimates of shape (P,) one after another."""
        if not parts:
            return cls(*(np.zeros(0) for _ in cls.__slots__))
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__))


def estimate(
    problems: Problems,
    tiles: Tiles,
    gpu: GpuSpec,
    dtype: DataType,
    unit: str,
    constants: GemmConstants,
    l2_state: str,
) -> Estimate:
    """Time and traffic of every product with every tile (shapes as they broadcast).

    Beside ``warm`` and ``cold``, ``l2_state`` may be ``weights-rotated`` or ``operands-rotated``: benchmarks that
    launch with six copies of B, or of A and B, in turn.
    """
    ctas = np.ceil(problems.m / tiles.m) * np.ceil(problems.n / tiles.n) * problems.batch * tiles.splits
    k_cta = np.ceil(np.ceil(problems.k / tiles.splits) / tiles.k) * tiles.k
    warps, active = residency(tiles, gpu, dtype, unit)
    rounds, per_sm = _schedule(ctas, active, gpu)
    cta = _cta_us(tiles, k_cta, gpu, dtype, unit, constants)
    compute = cta * (per_sm + rounds * constants.half_warps / warps)
    if constants.output_cycles > 0.0:
        compute = compute + per_sm * (tiles.m * tiles.n * (constants.output_cycles / gpu.clock_mhz))
    width = float(dtype.bytes)
    latency = rounds * constants.round_latencies * gpu.dram.latency_ns * 1e-3
    paused: Floats | float = 0.0
    if constants.slice_ns > 0.0:
        waiting = rounds * k_cta * (width / _SLICE_BYTES * constants.slice_ns * 1e-3)
        waiting = waiting * (1.0 + constants.gather_wait * (1.0 / problems.a_reuse - 1.0))
        paused = np.maximum(0.0, waiting - compute)
    # Powers of two are multiplied where arrays are small: the products are the same to the last bit.
    reduction = (tiles.splits > 1) * 2.0 * tiles.splits * (problems.c_bytes * (4.0 / width))
    stored = problems.c_bytes + reduction
    walked = ctas * k_cta
    l1_bytes = walked * ((tiles.m + tiles.n) * width) + stored
    l2_bytes = walked * _loaded(problems, tiles, constants) * width + stored
    dram_bytes = _dram_bytes(problems, tiles, gpu, active, l2_state, constants)
    l2 = l2_bytes / (gpu.l2.bandwidth_gbs * 1e3 * constants.l2_share)
    if constants.draw_share > 0.0:
        drawn = np.minimum(ctas, gpu.sms) * (gpu.l1.bandwidth_gbs / gpu.sms * 1e3 * constants.draw_share)
        l2 = np.maximum(l2, l2_bytes / drawn)
    dram = dram_bytes / (gpu.dram.bandwidth_gbs * 1e3 * constants.dram_share)
    if l2_state == "cold":
        latency = latency + constants.cold_us + k_cta * (width / _SLICE_BYTES * constants.cold_slice_ns * 1e-3)
        dram = dram * (1.0 + constants.written_back * left_behind(dram_bytes))
    launch = constants.launch_us_on(gpu) * (1.0 + constants.split_launches * (tiles.splits > 1))
    busy, waiting_us = compute + paused, latency + paused
    if constants.step_cycles > 0.0:
        missing = _missing(problems, gpu, l2_state, constants)
        shortest = k_cta / tiles.k * step_us(gpu, constants.step_cycles, missing)
        # At least one, which so many CTAs that they are no longer counted one by one leave open.
        last = np.maximum(1.0, per_sm - (rounds - 1.0) * np.minimum(active, per_sm))
        idle = idle_us(cta, last, warps, shortest, gpu)
        busy, waiting_us = busy + idle, waiting_us + idle
    # Streams overlap, but not perfectly where two are about equally long: a root of squares, twice, is a
    # maximum with a soft corner.
    streams = np.sqrt(np.sqrt(_fourth(busy) + _fourth(l2) + _fourth(dram)))
    slots = np.ceil(ctas / gpu.sms) * gpu.sms
    return Estimate(
        time_us=launch + latency + streams,
        compute_us=compute,
        l2_us=np.broadcast_to(l2, ctas.shape),
        dram_us=np.broadcast_to(dram, ctas.shape),
        latency_us=waiting_us,
        launch_us=np.broadcast_to(launch, ctas.shape),
        l1_bytes=l1_bytes,
        l2_bytes=l2_bytes,
        dram_bytes=np.broadcast_to(dram_bytes, ctas.shape),
        ctas=ctas,
        waves=ctas / (gpu.sms * active),
        tail_utilization=ctas / slots,
    )


def _loaded(problems: Problems, tiles: Tiles, constants: GemmConstants) -> Floats:
    """Elements per K that a CTA loads from L2; a cluster's CTAs lie along one side and share the other's loads."""
    a = tiles.m * problems.a_reuse
    if constants.cluster <= 1.0:
        return a + tiles.n
    side_m = np.minimum(constants.cluster, np.ceil(problems.m / tiles.m))
    side_n = np.minimum(constants.cluster, np.ceil(problems.n / tiles.n))
    return np.minimum(a + tiles.n / side_m, a / side_n + tiles.n)


def residency(tiles: Tiles, gpu: GpuSpec, dtype: DataType, unit: str) -> tuple[Floats, Floats]:
    """Warps per CTA, and CTAs that one SM holds at once (at least one)."""
    outputs = tiles.m * tiles.n
    if unit == "plain":
        # Each group of warps takes its part of a deep step, and holds all outputs.
        outputs = outputs * np.maximum(1.0, tiles.k / _PLAIN_STEP_DEPTH)
        warps = np.maximum(1.0, np.ceil(outputs / (_OUTPUTS_PER_PLAIN_THREAD * _THREADS_PER_WARP)))
    else:
        warps = np.maximum(_LEAST_TENSOR_WARPS, np.ceil(outputs / _OUTPUTS_PER_TENSOR_WARP))
    threads = warps * _THREADS_PER_WARP
    registers = outputs / threads + _REGISTERS_BESIDE_ACCUMULATORS[unit]
    by_registers = gpu.registers_per_sm / (threads * registers)
    by_shared = gpu.shared_bytes_per_sm / ((tiles.m + tiles.n) * tiles.k * dtype.bytes * _STAGES[unit])
    by_warps = gpu.max_warps_per_sm / warps
    limit = np.minimum(np.minimum(by_registers, by_shared), np.minimum(by_warps, gpu.max_ctas_per_sm))
    return warps, np.maximum(1.0, np.floor(limit))


def _schedule(ctas: Floats, active: Floats, gpu: GpuSpec) -> tuple[Floats, Floats]:
    """Rounds of resident CTAs, and CTAs in all, on the SM that gets most of them."""
    per_sm = np.ceil(ctas / gpu.sms)
    return np.ceil(per_sm / active), per_sm


def _cta_us(tiles: Tiles, k_cta: Floats, gpu: GpuSpec, dtype: DataType, unit: str, constants: GemmConstants) -> Floats:
    """Main-loop time of one CTA that has a whole SM's multipliers (DeLTA equation 13, times iterations)."""
    rate = gpu.peak_tflops(dtype, tensor=unit == "tensor") * 1e6 / gpu.sms * constants.efficiency_on(gpu)
    # The efficiency is that of 128x128 tiles: a smaller tile moves more operands per multiplication.
    edge = (1.0 + constants.edge_cost * (1.0 / tiles.m + 1.0 / tiles.n)) / (1.0 + constants.edge_cost / 64.0)
    return 2.0 * tiles.m * tiles.n * k_cta * edge / rate


def _dram_bytes(
    problems: Problems, tiles: Tiles, gpu: GpuSpec, active: Floats, l2_state: str, constants: GemmConstants
) -> Floats:
    """Bytes across DRAM: compulsory ones, and the operands that the cache drops between their uses. Torn bursts count
    as often as they are moved.
    """
    a, b = read_again(problems, tiles.m, tiles.n, gpu.sms * active, gpu.l2.size_bytes)
    c = problems.c_bytes
    if problems.torn is not None:
        c = c * (1.0 + constants.torn_writes * problems.torn)
    missing = _missing(problems, gpu, l2_state, constants)
    if l2_state not in _COPIED:
        return (a + b + c) * missing
    a_copied, b_copied = _COPIED[l2_state]
    copies = (_COPIES - 1.0) * (problems.a_bytes * a_copied + problems.b_bytes * b_copied)
    rotated = _missing(problems, gpu, l2_state, constants, copies)
    return a * (rotated if a_copied else missing) + b * (rotated if b_copied else missing) + c * missing


def _missing(
    problems: Problems, gpu: GpuSpec, l2_state: str, constants: GemmConstants, copies: Floats | float = 0.0
) -> Floats:
    """Share of the bytes that the cache does not hold, of operands that other ``copies`` were used after."""
    if l2_state == "cold":
        return np.ones_like(problems.c_bytes)
    footprint = problems.a_bytes + problems.b_bytes + problems.c_bytes + copies
    return missing_share(footprint, gpu.l2.size_bytes, constants.cache_share_on(gpu))


def _fourth(value: Floats) -> Floats:
    square = value * value
    return square * square
