"""Active CTAs per SM, from the registers and the shared memory that a tile needs (paper, section V).

The paper profiled its kernels; this follows the same ratio of "CTA's resource requirement and the size of
registers and SMEM per SM" from the tile alone.
"""

from __future__ import annotations

import numpy as np

from headroom.predict.delta.shapes import Array
from headroom.predict.delta.tiles import ACCUMULATORS_PER_THREAD, TileBatch

#: Registers of a thread beside its accumulators: two sets of 8 + 8 operand fragments (one computing, one
#: loading), 8 to stage the next tile from global memory, 16 for addresses and loop state.
WORKING_REGISTERS = 2 * (8 + 8) + 8 + 16

#: The hardware hands registers to warps in units of 256 and shared memory to CTAs in units of 256 bytes.
REGISTER_UNIT = 256
SHARED_UNIT_BYTES = 256


def registers_per_warp(tiles: TileBatch) -> Array:
    """Registers of one warp, in whole allocation units."""
    accumulators = tiles.m * tiles.n / tiles.threads
    per_thread = np.maximum(accumulators, ACCUMULATORS_PER_THREAD) + WORKING_REGISTERS
    return np.ceil(per_thread * 32 / REGISTER_UNIT) * REGISTER_UNIT


def shared_bytes(tiles: TileBatch, bytes_per_element: Array) -> Array:
    """Shared memory of one CTA: two buffers of both input tiles (paper: "input double buffering")."""
    needed = 2 * (tiles.m + tiles.n) * tiles.k * bytes_per_element
    return np.ceil(needed / SHARED_UNIT_BYTES) * SHARED_UNIT_BYTES


def active_ctas(
    tiles: TileBatch,
    bytes_per_element: Array,
    *,
    registers_per_sm: float,
    shared_bytes_per_sm: float,
    max_warps_per_sm: float,
    max_ctas_per_sm: float,
) -> Array:
    """Num_ACT_CTA: CTAs that one SM holds at once, at least one."""
    limits = np.minimum(
        np.floor(registers_per_sm / (registers_per_warp(tiles) * tiles.warps)),
        np.floor(shared_bytes_per_sm / shared_bytes(tiles, bytes_per_element)),
    )
    limits = np.minimum(limits, np.floor(max_warps_per_sm / tiles.warps))
    return np.maximum(np.minimum(limits, max_ctas_per_sm), 1.0)
