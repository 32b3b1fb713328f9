"""The models that the paper compares itself with: fixed cache miss rates (sections III and VII, Figs. 12, 15b)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.delta.model import Estimate, estimate
from headroom.predict.delta.reading import PAPER, Reading
from headroom.predict.delta.shapes import ConvBatch
from headroom.predict.delta.tiles import PAPER_TILES, TileBatch, TileTable
from headroom.predict.delta.time import times
from headroom.predict.delta.traffic import Traffic

#: The miss rates of Fig. 15b; 1.0 is what the prior models themselves use.
MISS_RATES = (0.2, 0.4, 0.6, 0.8, 1.0)


def with_miss_rate(answer: Estimate, miss_rate: float, reading: Reading = PAPER) -> Estimate:
    """``answer`` with L2 and DRAM traffic from a fixed miss rate of both caches.

    At 1.0 the L1 load traffic is that of L2 and of DRAM too (section VII-A). Time follows from it as in DeLTA.
    """
    moved = fixed_miss_rate(answer.traffic, miss_rate)
    took = times(
        answer.tiles, answer.grid, moved, answer.convs.bytes_per_element, answer.occupancy, answer.machine,
        reading,
    )  # fmt: skip
    return replace(answer, traffic=moved, times=took)


def fixed_miss_rate(moved: Traffic, miss_rate: float) -> Traffic:
    """The same L1 loads; L2 serves ``miss_rate`` of them and DRAM ``miss_rate`` of those."""
    rate = np.float64(miss_rate)
    return replace(
        moved,
        l2_per_iteration=moved.l1_per_iteration * rate,
        dram_per_iteration=moved.l1_per_iteration * rate * rate,
        l2_bytes=moved.l1_bytes * rate,
        dram_bytes=moved.l1_bytes * rate * rate,
    )


def estimate_prior(
    convs: ConvBatch,
    gpu: GpuSpec,
    dtype: DataType = DataType.FP32,
    *,
    miss_rate: float = 1.0,
    tiles: TileBatch | TileTable = PAPER_TILES,
    reading: Reading = PAPER,
) -> Estimate:
    """The prior models' answer: as :func:`~headroom.predict.delta.model.estimate`, with a fixed miss rate."""
    return with_miss_rate(estimate(convs, gpu, dtype, tiles=tiles, reading=reading), miss_rate, reading)
