"""How often the kernel that the theory chooses is the one that was measured fastest, on layers held out of the fit."""

from __future__ import annotations

import numpy as np

from h200_fit import FAMILY, GPU
from h200_kernels import Kernel
from h200_shipped import timed_layers
from headroom.predict.calibration import load_calibration
from headroom.predict.kernel_time import choose_kernels
from headroom.predict.kinds.layer_products import tiled_of
from kernel_fit import SETS, Wanted, by_layer, name_of, sort_of_row, tile_of

#: A choice within this of the fastest kernel's time is as good as it: the stopwatch's own noise is of this size.
AS_GOOD = 1.05


def kernel_choice() -> list[dict[str, object]]:
    """One entry per set of kernels, over its held-out layers with a warm L2."""
    return [entry for want in SETS if (entry := _entry(want))["layers"]]


def _entry(want: Wanted) -> dict[str, object]:
    rows = [
        row
        for row in timed_layers()
        if row.held_out and row.digest and row.l2 == "warm" and row.dtype == want.dtype
        and sort_of_row(row, want.unit) in want.sorts and (row.digest, str(row.dtype)) in by_layer()
    ]  # fmt: skip
    known = load_calibration().own_kernels[f"{FAMILY} {want.name}"]
    tiled = tiled_of([row.layer for row in rows], want.dtype, "matmul" if want.sorts == ("matmul",) else "forward")
    _, places = choose_kernels(tiled.problems, tiled.channels, known, GPU, want.dtype, want.unit, "warm")
    hits, costs = [], []
    for row, place in zip(rows, places, strict=True):
        timed = sorted(by_layer()[row.digest, str(row.dtype)], key=lambda kernel: kernel.time_us)
        chosen = next((kernel for kernel in timed if _name(kernel) == known.names[place]), None)
        hits.append(known.names[place] == _name(timed[0]))
        if chosen is not None:
            costs.append(chosen.time_us / timed[0].time_us)
    return {
        "set": want.name,
        "layers": len(rows),
        "kernels": len(known.names),
        "same_share": round(float(np.mean(hits)), 3) if hits else None,
        "as_good_share": round(float(np.mean(np.array(costs) <= AS_GOOD)), 3) if costs else None,
        "median_cost": round(float(np.median(costs)), 4) if costs else None,
        "timed_share": round(len(costs) / len(rows), 3) if rows else None,
    }


def _name(kernel: Kernel) -> str:
    return name_of((tile_of(kernel), kernel.splits, kernel.role))
