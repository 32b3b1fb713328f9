"""How far off the predictions are on the layers timed on an H200, with nothing fitted to this source.

The figures are this project's own measurements of device time, so neither scale nor constant is due.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from error_bars import fold
from h200_fit import GPU, TILED_OPS, answers_to, groups_of, is_searched, kernel_sorts_of
from h200_rows import SOURCE, Timed
from h200_shipped import timed_layers
from headroom.predict.calibration import Calibration, load_calibration
from headroom.predict.kinds.layer_products import is_direct
from headroom.predict.prediction import Prediction
from statistics_of import errors

WORST_ROWS = 3

#: What the tile model says of the same rows, without the constants of single kernels.
BY_TILES = "Headroom, by tiles alone"

#: Held-out rows below which statistics say nothing.
FEWEST = 5


def h200_report(others: Sequence[Calibration]) -> list[dict[str, object]]:
    """One entry per operation, data type and cache state, and per sort of convolution besides; statistics over
    the held-out rows, and over all beside them. ``others`` have error bars without one fold of the rows each.
    """
    rows = timed_layers()
    groups: dict[tuple[str, str, str], list[Timed]] = {}
    for row, sort in zip(rows, kernel_sorts_of(rows, load_calibration()), strict=True):
        op = row.op if is_searched(row) else f"{row.op}: PyTorch"
        groups.setdefault((op, str(row.dtype), row.l2), []).append(row)
        if row.op == "conv2d":
            op = f"conv2d: {'other' if sort == 'convolution' else sort}"
            groups.setdefault((op, str(row.dtype), row.l2), []).append(row)
    return [
        _entry(op, dtype, l2, group, others)
        for (op, dtype, l2), group in sorted(groups.items())
        if sum(row.held_out for row in group) >= FEWEST
    ]


def _entry(op: str, dtype: str, l2: str, rows: Sequence[Timed], others: Sequence[Calibration]) -> dict[str, object]:
    answers = answers_to(rows, load_calibration())
    ours = np.array([answer.time_us for answer in answers])
    measured = np.array([row.measured_us for row in rows])
    bars = np.array([answer.error_pct for answer in answers])
    held = np.array([row.held_out for row in rows])
    roofline = np.array([roofline_us(row) for row in rows])
    by_tiles = replace(load_calibration(), own_kernels={}, own_transforms={})
    tiles = np.array([answer.time_us for answer in answers_to(rows, by_tiles)]) if rows[0].op in TILED_OPS else ours
    models = {"Headroom": ours, BY_TILES: tiles, "roofline": roofline, "roofline / 0.8 + 3 us": roofline / 0.8 + 3.0}
    off_pct = 100 * np.abs(measured / ours - 1)
    groups = zip(rows, groups_of(rows, load_calibration()), strict=True)
    unseen = [
        others[fold([row.label])[0]].error_pct(kind, unit, GPU, "long", row.dtype, row.l2)
        for row, (kind, unit, _, _) in groups
    ]
    return {
        "source": SOURCE,
        "op": op,
        "dtype": dtype,
        "l2": l2,
        "rows": len(rows),
        "held_out_rows": int(held.sum()),
        "models": {
            name: {
                "held_out": errors(times[held], measured[held]).as_dict(),
                "all": errors(times, measured).as_dict(),
            }
            for name, times in models.items()
        },
        "bar_pct": round(float(np.median(bars)), 1),
        "printed_share": round(float((off_pct <= bars)[held].mean()), 3),
        "inside_share": round(float((off_pct <= unseen)[held].mean()), 3),
        "worst": _worst(rows, answers, ours, measured, held),
    }


def roofline_us(row: Timed) -> float:
    """Arithmetic over the peak rate, or compulsory bytes over DRAM bandwidth, whichever is longer."""
    layer = row.layer
    rate = GPU.peak_tflops(row.dtype, tensor=layer.kind.computes_gemm and not is_direct(layer))
    moved = layer.bytes(row.dtype) / (GPU.dram_peak_gbs * 1e3)
    return max(2.0 * layer.macs / (rate * 1e6), moved)


def _worst(
    rows: Sequence[Timed],
    answers: Sequence[Prediction],
    ours: np.ndarray,
    measured: np.ndarray,
    held: np.ndarray,
) -> list[dict[str, object]]:
    """The held-out rows that are furthest off, with what the prediction stood for."""
    order = np.argsort(-np.abs(np.log(ours / measured)) * held, kind="stable")[:WORST_ROWS]
    return [
        {
            "row": rows[i].label,
            "measured_us": round(float(measured[i]), 2),
            "predicted_us": round(float(ours[i]), 2),
            "why": f"{answers[i].algorithm}, limited by {answers[i].bottleneck}",
        }
        for i in order
    ]
