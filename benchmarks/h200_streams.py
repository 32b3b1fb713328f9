"""The streaming model's constants for Hopper: shared bandwidths, and each sort of kernel's own costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import least_squares

from h200_rows import Timed
from headroom.gpu.spec import GpuSpec
from headroom.predict.constants import KernelCost, StreamConstants
from headroom.predict.kinds.streaming import sort_of, streams_of
from headroom.predict.memory_bound import estimate_streams

#: From one empty kernel of a CUDA graph to the next, as the probe measures it (docs/probe-figures.md).
GRAPH_LAUNCH_US = 0.505

#: Which costs a sort of kernel can have beside its bytes.
COSTS: dict[str, tuple[str, ...]] = {
    "activation": ("start_us",),
    "costly activation": ("start_us", "value_cycles"),
    "elementwise": ("start_us",),
    "layer normalization": ("start_us", "value_cycles", "group_cycles"),
    "response normalization": ("start_us", "value_cycles"),
    "softmax": ("start_us", "value_cycles", "group_cycles"),
    "reduction": ("start_us", "group_cycles"),
    "column reduction": ("start_us",),
    "transposition": ("start_us", "value_cycles"),
    "movement": ("start_us", "value_cycles"),
    "embedding": ("start_us",),
    "normalization": ("start_us", "factor", "value_cycles"),
    "pooling": ("start_us", "tap_us", "value_cycles"),
    "global pooling": ("start_us", "tap_us", "group_cycles"),
    "depthwise": ("start_us", "tap_us", "value_cycles"),
    "matvec": ("start_us", "tap_us"),
}

#: Where the fit starts: a cost that is hidden behind the bytes at its start would stay there.
FIRST: dict[str, dict[str, float]] = {
    "start_us": {"": 0.3},
    "tap_us": {"": 0.02, "matvec": 0.0003, "global pooling": 0.001},
    "factor": {"": 1.2},
    "group_cycles": {"": 20.0, "layer normalization": 60.0, "reduction": 60.0},
    "value_cycles": {
        "": 0.4, "depthwise": 0.05, "pooling": 0.1, "movement": 0.3, "transposition": 1.0,
        "response normalization": 5.0,
    },
}  # fmt: skip

#: The shared constants' start: shares of the sheet's bandwidths and of the cache, and what a cold cache adds.
FIRST_SHARED = {"dram_share": 1.05, "l2_share": 0.75, "cache_share": 0.7, "cold_us": 0.8, "written_back": 0.3}


def fit_streams(rows: Sequence[Timed], gpu: GpuSpec) -> StreamConstants:
    """By least squares of the logarithms, warm and cold together."""
    names = [(sort, name) for sort, costs in COSTS.items() for name in costs]
    parts = [[row for row in rows if (row.dtype, row.l2) == key] for key in sorted({(r.dtype, r.l2) for r in rows})]
    asked = [(streams_of([r.layer for r in part], part[0].dtype), [sort_of(r.layer) for r in part]) for part in parts]
    measured = np.concatenate([[row.measured_us for row in part] for part in parts])

    def constants(x: np.ndarray) -> StreamConstants:
        shared = dict(zip(FIRST_SHARED, np.exp(x[: len(FIRST_SHARED)]).tolist(), strict=True))
        values: dict[str, dict[str, float]] = {sort: {} for sort in COSTS}
        for (sort, name), value in zip(names, np.exp(x[len(FIRST_SHARED) :]), strict=True):
            values[sort][name] = float(value)
        kernels = {sort: KernelCost(**costs) for sort, costs in values.items()}
        return StreamConstants(
            launch_factor=GRAPH_LAUNCH_US / gpu.launch_us, ramp_us=0.0, kernels=kernels,
            families=["hopper", "blackwell"], **shared,
        )  # fmt: skip

    def residuals(x: np.ndarray) -> np.ndarray:
        trial = constants(x)
        times = [
            estimate_streams(
                streams, sorts, gpu, gpu.peak_tflops(part[0].dtype, tensor=False), trial, part[0].l2
            ).time_us
            for part, (streams, sorts) in zip(parts, asked, strict=True)
        ]
        return np.log(np.concatenate(times) / measured)

    start = [*FIRST_SHARED.values(), *(FIRST[name].get(sort, FIRST[name][""]) for sort, name in names)]
    return constants(least_squares(residuals, np.log(start), loss="soft_l1", f_scale=0.1, max_nfev=60).x)
