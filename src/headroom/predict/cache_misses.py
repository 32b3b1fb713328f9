"""What of the operands crosses DRAM: what a warm cache does not hold, and what it drops between two uses."""

from __future__ import annotations

import numpy as np

from headroom.predict.gemm_problems import Floats, Problems


def missing_share(footprint: Floats, cache_bytes: float, cache_share: float) -> Floats:
    """Share of a footprint that crosses DRAM on every launch though the cache was warm.

    A cyclic sweep over more than the cache can use evicts lines before their next use: the share climbs
    from none at the usable size to all at twice that.
    """
    usable = cache_bytes * cache_share
    return np.minimum(1.0, np.maximum(0.0, (footprint - usable) / usable))


def read_again(
    problems: Problems, tile_m: Floats, tile_n: Floats, in_flight: Floats, cache_bytes: Floats | float
) -> tuple[Floats, Floats]:
    """Bytes of A and of B that are read over all uses, where ``in_flight`` CTAs run at once.

    These form a block of the output that is as square as it can be; an operand larger than the last-level cache is
    read again for every such block along the other dimension.
    """
    side = np.sqrt(in_flight * tile_m * tile_n)
    a, b = problems.a_bytes, problems.b_bytes
    # Most operands fit, and then how often they would be read again need not be known.
    a_exceeds, b_exceeds = a > cache_bytes, b > cache_bytes
    if np.any(a_exceeds):
        a = a * np.where(a_exceeds, np.maximum(1.0, problems.n / np.maximum(side, tile_n)), 1.0)
    if np.any(b_exceeds):
        b = b * np.where(b_exceeds, np.maximum(1.0, problems.m / np.maximum(side, tile_m)), 1.0)
    return a, b
