"""The time of a library's own kernels, each with constants that its own timings gave.

Where every implementation was timed and not only the fastest, a kernel need not be guessed from its tile: its
registers and shared memory say how many of its CTAs an SM holds at once, its rows say how long it takes to start, how
near its main loop comes to the peak, and how long one step of K waits when nothing hides it. Per SM the resident CTAs
run together: a round of them takes what starting and storing takes, plus per step of K either all their arithmetic or
the wait, whichever is longer (DeLTA, equations 13 and 17). The library then takes the kernel that is fastest.

As in :mod:`.gemm_time` there are only additions, multiplications, divisions, rounding and square roots, so that
a row alone and the same row among 100,000 give the same number.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.cache_misses import missing_share, read_again
from headroom.predict.constants import left_behind
from headroom.predict.gemm_problems import Floats, Problems, Tiles
from headroom.predict.gemm_time import Estimate

#: Bytes of shared memory that the driver keeps of every CTA's.
_RESERVED_SHARED_BYTES = 1024.0

#: Parts of a divided K are summed in four bytes.
_PARTIAL_BYTES = 4.0

#: Pairs of a product and a kernel that are looked at together: keeps the arrays inside a CPU's cache.
_PAIRS_AT_ONCE = 24_576

_THREADS_PER_WARP = 32.0

#: The wide side of the tiles that short results are divided by, and the rows below which a result is short.
_WIDE_TILE, _SHORT = 64.0, 768.0


@dataclass(frozen=True, slots=True)
class Channels:
    """What a kernel asks of a product beside its sizes: arrays of shape (P,), all 0 or 1 but for ``taps``.

    ``taps`` of a forward convolution's filter (1 for whatever has none); ``is_product`` where rows and columns lie in
    memory as a product has them; ``odd_in`` and ``odd_out`` where a group's input or output channels do not fill 16
    bytes; ``has_bias`` where one is added, which opens the kernels of fused arithmetic.
    """

    taps: Floats
    is_product: Floats
    odd_in: Floats
    odd_out: Floats
    has_bias: Floats

    def rows(self, which: slice | NDArray[np.intp]) -> Channels:
        """Those of some of the products."""
        return Channels(*(getattr(self, field.name)[which] for field in fields(self)))

    def column(self) -> Channels:
        """The same with shape (P, 1), to be combined with a row of kernels."""
        return Channels(*(getattr(self, field.name)[:, None] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Kernels:
    """Kernels as arrays: of shape (C,) to choose from, or (P,) for one given kernel per product.

    ``tile_m``, ``tile_n`` and ``splits`` as in :class:`Tiles`; ``step_bytes``, the tile's K; ``threads``, ``registers``
    (per thread) and ``shared_bytes`` of a CTA; ``efficiency``, the share of its peak that an SM's main loop reaches;
    ``wait_ns``, the shortest time of one step of K; ``start_us`` of each round of CTAs (its first loads, its
    stores); ``launch_us``, what comes once before and after them; ``around_us``, other launches (the sum of a divided
    K's parts, clearing, preparing the filter), and ``pad_us``, one for each side whose channels are padded;
    ``misfit``, how much longer a step takes where a tap's channels, or a divided K's parts, do not come out even.
    Flags, 0 or 1: ``whole_channels``, every tap's channels fill whole steps; ``pads`` sides with odd ones in copies;
    ``converts`` the whole input first; ``needs_product``, ``needs_even`` channels of the input, ``needs_bias``.
    ``least_k`` is the shortest K that the library divides so; ``spares_narrow``, a flag, that it does not divide
    so where the result is narrow (:func:`is_narrow`).
    """

    tile_m: Floats
    tile_n: Floats
    step_bytes: Floats
    splits: Floats
    threads: Floats
    registers: Floats
    shared_bytes: Floats
    efficiency: Floats
    wait_ns: Floats
    start_us: Floats
    launch_us: Floats
    around_us: Floats
    pad_us: Floats
    misfit: Floats
    whole_channels: Floats
    pads: Floats
    converts: Floats
    needs_product: Floats
    needs_even: Floats
    needs_bias: Floats
    least_k: Floats
    spares_narrow: Floats

    def __len__(self) -> int:
        return len(self.tile_m)

    def tiles(self, dtype: DataType) -> Tiles:
        """The tiles in elements."""
        return Tiles(self.tile_m, self.tile_n, self.step_bytes / dtype.bytes, self.splits)

    def take(self, which: NDArray[np.intp]) -> Kernels:
        """Some of the kernels."""
        return Kernels(*(getattr(self, field.name)[which] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Shares:
    """What a set's kernels share.

    ``l2``, ``dram`` and ``cache`` are the shares of the sheet's bandwidths and of the last-level cache as in
    :class:`GemmConstants`, ``l2`` above 1 where a cluster's CTAs share loads; ``stores``, that share for results, which
    nobody shares; ``copies``, the share of the L2's bandwidth that padding and converting reach; ``sustained``, the
    share of the peak rate that the board's power allows all SMs together. A cold cache adds ``cold_us``,
    ``cold_step_ns`` per step of K, and ``written_back`` as there.
    """

    l2: float
    stores: float
    dram: float
    cache: float
    copies: float
    sustained: float
    cold_us: float = 0.0
    cold_step_ns: float = 0.0
    written_back: float = 0.0


@dataclass(frozen=True)
class KernelSet:
    """The kernels that a library chooses from for one sort of product; ``names`` tell their families."""

    names: tuple[str, ...]
    kernels: Kernels
    shares: Shares


def estimate_kernels(
    problems: Problems, channels: Channels, kernels: Kernels, shares: Shares, gpu: GpuSpec, dtype: DataType, unit: str,
    l2_state: str,
) -> Estimate:  # fmt: skip
    """Time and traffic of every product with every kernel (shapes as they broadcast).

    A kernel that does not take a product has an infinite time.
    """
    width = float(dtype.bytes)
    step = kernels.step_bytes / width
    filled = channels.taps * np.ceil(problems.k / channels.taps / step) * step
    k = np.where(kernels.whole_channels > 0.0, filled, problems.k)
    steps = np.ceil(np.ceil(k / kernels.splits) / step)
    paced = steps * (1.0 + kernels.misfit * (steps * step * kernels.splits > problems.k))
    ctas = np.ceil(problems.m / kernels.tile_m) * np.ceil(problems.n / kernels.tile_n) * problems.batch * kernels.splits
    resident = residents(kernels, gpu)
    rate = gpu.peak_tflops(dtype, tensor=unit == "tensor") * 1e6 / gpu.sms
    step_us = 2.0 * kernels.tile_m * kernels.tile_n * step / (rate * kernels.efficiency)
    per_sm = np.ceil(ctas / gpu.sms)
    full = np.floor(per_sm / resident)
    rest = per_sm - full * resident
    wait_us = kernels.wait_ns * 1e-3
    loops = full * _longer(resident * step_us, wait_us) + (rest > 0.0) * _longer(rest * step_us, wait_us)
    compute = per_sm * paced * step_us
    latency = (full + (rest > 0.0)) * kernels.start_us + np.maximum(0.0, paced * loops - compute)
    divided = (kernels.splits > 1.0) * (1.0 + kernels.splits) * problems.c_bytes * (_PARTIAL_BYTES / width)
    loaded = ctas * steps * kernels.step_bytes
    stored = problems.c_bytes + divided
    shared = loaded * (kernels.tile_m * problems.a_reuse + kernels.tile_n)
    dram_bytes = _crossing(problems, kernels, gpu, resident, l2_state, shares.cache) + 0.0 * compute
    l2_rate = gpu.l2.bandwidth_gbs * 1e3
    l2 = shared / (l2_rate * shares.l2) + stored / (l2_rate * shares.stores)
    dram = dram_bytes / (gpu.dram.bandwidth_gbs * 1e3 * shares.dram)
    sides = kernels.pads * (channels.odd_in + channels.odd_out)
    a_copied = kernels.pads * channels.odd_in + kernels.converts
    copied = 2.0 * (a_copied * problems.a_bytes + kernels.pads * channels.odd_out * problems.c_bytes)
    launch = kernels.launch_us + kernels.around_us + sides * kernels.pad_us + copied / (l2_rate * shares.copies)
    if l2_state == "cold":
        launch = launch + shares.cold_us
        latency = latency + steps * (shares.cold_step_ns * 1e-3)
        dram = dram * (1.0 + shares.written_back * left_behind(dram_bytes))
    flops = 2.0 * problems.m * problems.n * problems.k * problems.batch
    sustained = flops / (rate * gpu.sms * shares.sustained)
    refused = kernels.needs_product * (1.0 - channels.is_product) + kernels.needs_even * channels.odd_in
    refused = refused + kernels.needs_bias * (1.0 - channels.has_bias) + (problems.k < kernels.least_k)
    refused = refused + kernels.spares_narrow * is_narrow(problems)
    time = launch + _longer(_longer(latency + compute, sustained), _longer(l2, dram))
    slots = np.ceil(ctas / gpu.sms) * gpu.sms
    l2_bytes = np.maximum(shared + stored + copied, dram_bytes)
    return Estimate(
        time_us=np.where(refused > 0.0, np.inf, time),
        compute_us=np.maximum(compute, sustained),
        l2_us=l2,
        dram_us=dram,
        latency_us=latency,
        launch_us=launch + 0.0 * compute,
        l1_bytes=np.maximum(loaded * (kernels.tile_m + kernels.tile_n) + stored + copied, l2_bytes),
        l2_bytes=l2_bytes,
        dram_bytes=dram_bytes,
        ctas=ctas,
        waves=ctas / (gpu.sms * resident),
        tail_utilization=ctas / slots,
    )


def is_narrow(problems: Problems) -> Floats:
    """1 where the result is short and at most two tiles of 64 wide that no half of is empty: on plain units the library
    then divides K only between kernels that prefetch.
    """
    n = problems.n
    narrow = (problems.m < _SHORT) & (n <= 2.0 * _WIDE_TILE) & ((n <= _WIDE_TILE) | (n > 1.5 * _WIDE_TILE))
    return narrow.astype(np.float64)


def _crossing(
    problems: Problems, kernels: Kernels, gpu: GpuSpec, resident: Floats, l2_state: str, cache_share: float
) -> Floats:
    """Bytes across DRAM: compulsory ones, and operands beyond the cache once per block of CTAs in flight."""
    cache = gpu.l2.size_bytes
    a, b = read_again(problems, kernels.tile_m, kernels.tile_n, gpu.sms * resident, cache)
    moved = a + b + problems.c_bytes
    if l2_state == "cold":
        return moved
    footprint = problems.a_bytes + problems.b_bytes + problems.c_bytes
    return moved * missing_share(footprint, cache, cache_share)


def residents(kernels: Kernels, gpu: GpuSpec) -> Floats:
    """CTAs that one SM holds at once (at least one)."""
    by_registers = gpu.registers_per_sm / (kernels.threads * kernels.registers)
    by_shared = gpu.shared_bytes_per_sm / (kernels.shared_bytes + _RESERVED_SHARED_BYTES)
    by_warps = gpu.max_warps_per_sm / (kernels.threads / _THREADS_PER_WARP)
    limit = np.minimum(np.minimum(by_registers, by_shared), np.minimum(by_warps, gpu.max_ctas_per_sm))
    return np.maximum(1.0, np.floor(limit))


def choose_kernels(
    problems: Problems, channels: Channels, known: KernelSet, gpu: GpuSpec, dtype: DataType, unit: str, l2_state: str
) -> tuple[Estimate, NDArray[np.intp]]:
    """Every product with its fastest kernel: arrays of shape (P,), and the kernels' places in the set."""
    parts: list[Estimate] = []
    choices = [np.zeros(0, dtype=np.intp)]
    step = max(1, _PAIRS_AT_ONCE // len(known.kernels))
    for start in range(0, len(problems), step):
        rows = slice(start, start + step)
        part, shapes = problems.rows(rows).column(), channels.rows(rows).column()
        every = estimate_kernels(part, shapes, known.kernels, known.shares, gpu.rows(rows), dtype, unit, l2_state)
        choice = np.argmin(every.time_us, axis=1)
        parts.append(every.take(choice))
        choices.append(choice)
    return Estimate.concatenate(parts), np.concatenate(choices)


def _longer(one: Floats, other: Floats) -> Floats:
    """The longer of two streams; a root of squares, twice, is a maximum with a soft corner."""
    one, other = one * one, other * other
    return np.sqrt(np.sqrt(one * one + other * other))
