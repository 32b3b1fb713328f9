"""The bytes that Hopper's counters see at L1, L2 and DRAM while a tiled kernel runs from a cold cache.

DeLTA's loads (equations 4, 9 and 10) with what its GPUs did not have: an L2 of two halves, where every second byte
across DRAM passes both; clusters, whose CTAs load an operand once for all of them; a stage before the L2 that joins
requests of SMs for the same bytes at the same time; results that are still in the cache when the kernel ends. As in
:mod:`.gemm_time` there are only additions, multiplications, divisions, rounding and square roots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.predict.cache_misses import missing_share
from headroom.predict.gemm_problems import Floats, Problems, Tiles

#: Every second byte across DRAM belongs to the other half of the L2 than the SM that asks, and is counted in both.
CROSSING = 0.5

#: Columns of CTAs that a library may run through together; it takes what moves fewest bytes.
_PANELS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

#: What a load moves at once: a sector, a warp's sectors where neighbours are loaded, and a tensor copy's least.
_SECTOR_BYTES, _SECTORS, _BULK_BYTES = 32.0, 4.0, 64.0


@dataclass(frozen=True, slots=True)
class Learned:
    """What physics leaves open, fitted on counted layers (``benchmarks/traffic_fit.py``).

    ``usable``, the share of the L2 that a sweep of all SMs can use (half: both halves keep what both read), ``dirty``,
    the share that waiting results may hold, ``lingering``, how much longer than in a plain queue of all bytes they
    stay; ``drift``, the bytes read again by CTAs that drift apart over those of CTAs in step. Loads that no other SM's
    are joined to: ``start``, their share where CTAs have just started together, ``apart``, what is added in the end,
    ``waves``, those that half of it takes; for products and, ``gather_``, for convolutions without clusters.
    ``misses``, the share of B's plain loads that miss L1 where CTAs of 128 columns share an SM, ``narrower``, how it
    grows with more columns of CTAs; ``lone``, loads per request of a lone CTA; ``gather_misses``, the waves after which
    half of a convolution's plain loads of the filter miss L1. ``skewed``, tensor copies of rows that begin inside 64
    bytes, per aligned one.
    """

    usable: float = 0.481
    dirty: float = 0.474
    lingering: float = 0.885
    drift: float = 1.22
    start: float = 0.58
    apart: float = 0.4
    waves: float = 4.8
    gather_start: float = 0.5
    gather_apart: float = 0.312
    gather_waves: float = 18.0
    misses: float = 0.45
    narrower: float = 0.295
    lone: float = 1.08
    gather_misses: float = 50.0
    skewed: float = 1.07


LEARNED = Learned()

#: Nothing learned: no request is joined to another SM's, every plain load misses L1, no CTA drifts.
PHYSICS = Learned(
    usable=0.5, dirty=0.5, lingering=1.0, drift=1.0, start=1.0, apart=0.0, gather_start=1.0, gather_apart=0.0,
    misses=1.0, narrower=0.0, lone=1.0, gather_misses=0.0, skewed=1.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Launch:
    """How kernels run, beside their tiles: arrays of shape (P,).

    ``resident`` CTAs per SM; ``along_m`` and ``along_n``, the CTAs of a cluster on either side, of which those along M
    share B; ``bulk``, whether tensor copies load past the L1, whose counter else sees all; ``by_rows``, whether CTAs
    run down one column after the other, not in panels; ``inside``, the share of im2col's elements that are no padding;
    ``taps`` in a row of the filter, 1 for products; ``pitch_bytes`` between neighbouring rows of A in memory.
    """

    resident: Floats
    along_m: Floats
    along_n: Floats
    bulk: NDArray[np.bool_]
    by_rows: NDArray[np.bool_]
    inside: Floats
    taps: Floats
    pitch_bytes: Floats


@dataclass(frozen=True, slots=True)
class Counted:
    """Bytes at each level, of shape (P,)."""

    l1: Floats
    l2: Floats
    dram: Floats


def counted(
    problems: Problems, tiles: Tiles, launch: Launch, gpu: GpuSpec, width: float, learned: Learned = LEARNED
) -> Counted:
    """What the counters see of every product with its tile; elements have ``width`` bytes.

    Bytes that tensor copies load past L1 count as L1's here: as many go into shared memory.
    """
    rows, columns = np.ceil(problems.m / tiles.m), np.ceil(problems.n / tiles.n)
    a = problems.batch * problems.m * problems.k * width * launch.inside
    b = problems.batch * problems.n * problems.k * width
    # A divided K is summed in place: every part but the first reads the sum and writes it.
    stored = problems.c_bytes * (2.0 * tiles.splits - 1.0)
    waves = rows * columns * problems.batch * tiles.splits / (gpu.sms * launch.resident)
    read = _read(problems, launch, rows, columns, gpu, learned)
    bulk = _bulk_loads(a, b, rows, columns, problems, tiles.k * width, launch, waves, learned)
    plain = a * columns * problems.a_reuse + b * rows * _plain_misses(tiles, launch, waves, learned)
    dram = read + _written(problems, stored, read, gpu, learned)
    l2 = np.where(launch.bulk, bulk, plain) + stored + CROSSING * (read + stored)
    l1 = a * columns * _sectors_per_full(launch) + b * rows + stored
    return Counted(l1, np.maximum(l2, dram), dram)


def _bulk_loads(
    a: Floats, b: Floats, rows: Floats, columns: Floats, problems: Problems, step_bytes: Floats, launch: Launch,
    waves: Floats, learned: Learned,
) -> Floats:  # fmt: skip
    """Loads of clusters that reach the L2. A's first always do; others only where no other SM's request is joined."""
    gathers = launch.taps > 1.0
    skewed = np.where(launch.pitch_bytes % _BULK_BYTES != 0.0, learned.skewed, 1.0)
    # A tap's channels are copied in whole steps of K.
    steps = launch.pitch_bytes / step_bytes
    filled = np.where(gathers, np.ceil(steps) / steps, 1.0)
    asked = a * np.ceil(columns / launch.along_n) * skewed * filled + b * np.ceil(rows / launch.along_m) * filled
    first = np.minimum(problems.a_bytes, asked)
    alone = learned.start + learned.apart * waves / (waves + learned.waves)
    gathered = learned.gather_start + learned.gather_apart * waves / (waves + learned.gather_waves)
    is_cluster = launch.along_m * launch.along_n > 1.0
    return np.where(gathers, asked * np.where(is_cluster, 1.0, gathered), first + (asked - first) * alone)


def _plain_misses(tiles: Tiles, launch: Launch, waves: Floats, learned: Learned) -> Floats:
    """The share of B's loads that miss L1, where CTAs on one SM may share them."""
    narrow = np.maximum(0.0, 128.0 / tiles.n - 1.0)
    shared = np.minimum(1.0, learned.misses * (1.0 + learned.narrower * narrow))
    shared = np.where(launch.taps > 1.0, waves / (waves + learned.gather_misses), shared)
    return np.where(launch.resident > 1.0, shared, learned.lone)


def _sectors_per_full(launch: Launch) -> Floats:
    """Sectors that a warp's load of neighbouring elements touches, per load that begins at a sector's edge.

    Taps beside the middle one are a few elements off; where rows do not fill sectors, all loads begin anywhere.
    """
    beside = (launch.taps - 1.0) / launch.taps / _SECTORS
    anywhere = (1.0 - 4.0 / _SECTOR_BYTES) / _SECTORS
    off = np.where(launch.pitch_bytes % _SECTOR_BYTES == 0.0, beside, anywhere)
    return 1.0 + np.where(launch.bulk | (launch.taps <= 1.0), 0.0, off)


def _written(problems: Problems, stored: Floats, read: Floats, gpu: GpuSpec, learned: Learned) -> Floats:
    """Bytes written across DRAM before the kernel ends, and partial sums read again.

    The cache holds the last bytes of all that passed it; what is still unwritten among them the counters do not see.
    """
    result, cache = problems.c_bytes, gpu.l2.size_bytes
    queued = learned.lingering * cache * result / (read + result)
    kept = np.minimum(result, np.minimum(learned.dirty * cache, queued))
    return result - kept + (stored - result) * missing_share(result, cache, learned.usable)


def _read(problems: Problems, launch: Launch, rows: Floats, columns: Floats, gpu: GpuSpec, learned: Learned) -> Floats:
    """Bytes of A and B across DRAM."""
    running = gpu.sms * launch.resident
    whole_columns = np.maximum(1.0, np.floor(running / rows))
    by_rows = _read_in_panels(problems, rows, columns, whole_columns, running, gpu, learned.usable, 1.0)
    fewest = by_rows + np.inf
    for panel in _PANELS:
        read = _read_in_panels(problems, rows, columns, panel + 0.0 * rows, running, gpu, learned.usable, learned.drift)
        fewest = np.minimum(fewest, read)
    return np.where(launch.by_rows, by_rows, fewest)


def _read_in_panels(
    problems: Problems, rows: Floats, columns: Floats, panel: Floats, running: Floats, gpu: GpuSpec, usable: float,
    drift: float,
) -> Floats:  # fmt: skip
    """Bytes read where CTAs run down panels of ``panel`` columns: A is read again for every panel, and B for every
    block of running CTAs, as far as the cache has dropped them since.
    """
    panel = np.minimum(panel, columns)
    deep = np.minimum(rows, running / panel)
    a, b, c = (x / problems.batch for x in (problems.a_bytes, problems.b_bytes, problems.c_bytes))
    sweep = a + (b + c) * panel / columns
    block = a * deep / rows + b * panel / columns + c * deep * panel / (rows * columns)
    cache = gpu.l2.size_bytes
    again_a = (columns / panel - 1.0) * missing_share(sweep, cache, usable) * drift
    again_b = (rows / deep - 1.0) * missing_share(block, cache, usable) * drift
    return problems.a_bytes * (1.0 + again_a) + problems.b_bytes * (1.0 + again_b)
