"""How long the GEMM takes and what limits it (paper, section V, eqs. 11-18).

Every function takes arrays with one entry per layer and returns nanoseconds. "Per iteration" is one main loop
of one CTA; streams of different CTAs on an SM interleave as in the paper's Fig. 10.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headroom.predict.delta.machine import Machine
from headroom.predict.delta.reading import PAPER, Reading
from headroom.predict.delta.shapes import Array
from headroom.predict.delta.tiles import WARP_TILE_M, WARP_TILE_N, TileBatch
from headroom.predict.delta.traffic import Grid, Traffic
from headroom.predict.prediction import Bottleneck

#: What can limit a layer, in the order of the rows of :attr:`Times.candidates_ns`. The first of equals wins.
CANDIDATES = (
    Bottleneck.COMPUTE,
    Bottleneck.SHARED,
    Bottleneck.LATENCY,
    Bottleneck.L1,
    Bottleneck.L2,
    Bottleneck.DRAM,
)


@dataclass(frozen=True, slots=True)
class Streams:
    """The three streams of one iteration (GLS, SAS, CS) and the transfer part of the first, per level."""

    load_ns: Array
    shared_ns: Array
    compute_ns: Array
    l1_transfer_ns: Array
    l2_transfer_ns: Array
    dram_transfer_ns: Array


@dataclass(frozen=True, slots=True)
class Times:
    """A layer's time, everything it follows from, and every candidate for it.

    ``candidates_ns`` has shape (len(CANDIDATES), layers); ``limit`` indexes its rows. ``ctas_per_sm`` is that
    of the SM with most of them; ``batches`` is how often that SM refills with active CTAs.
    """

    streams: Streams
    prologue_ns: Array
    epilogue_ns: Array
    ctas_per_sm: Array
    active_ctas: Array
    batches: Array
    candidates_ns: npt.NDArray[np.float64]
    limit: npt.NDArray[np.intp]
    total_ns: Array


def shared_load_elements(tiles: TileBatch) -> Array:
    """Elements that the warps of a CTA read from shared memory per iteration (eq. 12, second term)."""
    return (WARP_TILE_M + WARP_TILE_N) * tiles.k * tiles.warps


def streams(tiles: TileBatch, moved: Traffic, size: Array, machine: Machine) -> Streams:
    """GLS (eq. 11), SAS (eq. 12) and CS (eq. 13) of one iteration.

    TpL_L1 counts the inefficiency of section IV-A: "poor L1 transaction efficiency" is what limits AlexNet's
    first layer. CS runs the whole tile, edge or not: idle lanes take time too.
    """
    l1 = moved.l1_per_iteration / machine.l1_rate
    l2 = moved.l2_per_iteration / machine.l2_rate
    dram = moved.dram_per_iteration / machine.dram_rate
    load = np.maximum(machine.l1_latency_ns + l1, machine.l2_latency_ns + l2)
    load = np.maximum(load, machine.dram_latency_ns + dram)
    stored = (tiles.m + tiles.n) * tiles.k * size
    shared = stored / machine.shared_rate + shared_load_elements(tiles) * size / machine.shared_rate
    compute = tiles.m * tiles.n * tiles.k / machine.mac_rate
    return Streams(load, shared, compute, l1, l2, dram)


def prologue(tiles: TileBatch, size: Array, machine: Machine) -> Array:
    """The first CTA's fill of the pipeline; those of others are hidden (eq. 14).

    The paper loads blk_M x blk_N, which is the size of a CTA's *output*; what a prologue loads, by its own
    section II-C, is both input tiles: (blk_M + blk_N) x blk_K.
    """
    inputs = (tiles.m + tiles.n) * tiles.k * size
    fetch = machine.dram_latency_ns + inputs / machine.dram_rate
    store = machine.shared_latency_ns + inputs / machine.shared_rate
    return fetch + store + shared_load_elements(tiles) * size / machine.shared_rate


def times(
    tiles: TileBatch, cut: Grid, moved: Traffic, size: Array, active: Array, machine: Machine,
    reading: Reading = PAPER,
) -> Times:  # fmt: skip
    """The SM with most CTAs under each constraint (eqs. 16-18); the largest is the layer's time."""
    flows = streams(tiles, moved, size, machine)
    fill = prologue(tiles, size, machine)
    # The SM with most CTAs has whole rows of tiles, even where the grid's last row is cut short.
    output = np.minimum(tiles.m, cut.gemm_m) * cut.loaded_n * size
    # Eq. 15. Its BW_DRAM lacks the / Num_SM of eqs. 11 and 14: all SMs write at once.
    write_rate = machine.dram_rate * (1.0 if reading.epilogue_shares_dram else machine.sms)
    write = output / write_rate
    per_sm = np.ceil(cut.ctas / machine.sms)
    held = np.minimum(active, per_sm)
    batches = np.ceil(per_sm / held)
    loops = cut.iterations
    # Eq. 17 adds the last of a tile's blk_K computing steps: the others overlap with the load.
    last_step = np.maximum(flows.compute_ns, flows.shared_ns) / tiles.k
    candidates = np.stack([
        fill + (flows.compute_ns * loops + write) * per_sm,                         # eq. 16: cases 1 and 3
        fill + (flows.shared_ns * loops + write) * per_sm,                          # eq. 16: cases 1 and 3
        fill + ((flows.load_ns + last_step) * loops + write) * batches,             # eq. 17: case 2
        fill + (flows.l1_transfer_ns * loops + output / machine.l1_rate) * per_sm,  # eq. 18: case 4
        fill + (flows.l2_transfer_ns * loops + output / machine.l2_rate) * per_sm,
        fill + (flows.dram_transfer_ns * loops + output / write_rate) * per_sm,
    ])  # fmt: skip
    limit = np.argmax(candidates, axis=0)
    return Times(
        streams=flows, prologue_ns=fill, epilogue_ns=write, ctas_per_sm=per_sm, active_ctas=held,
        batches=batches, candidates_ns=candidates, limit=limit, total_ns=candidates.max(axis=0),
    )  # fmt: skip
