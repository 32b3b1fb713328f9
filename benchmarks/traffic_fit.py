"""Fit what the theory of the counters learns, on the rows that it may look at.

    python benchmarks/traffic_fit.py

prints the constants of :class:`headroom.predict.counted_bytes.Learned` and of Fourier transforms that bring the mean
factor by which L2's and DRAM's bytes are off down, one constant at a time and in steps that shrink, from today's on.
Rows whose kernel is known count, at the levels at which they are judged.
"""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np

import h200_sensitivity
import h200_traffic
from counted_layers import Point, rows_of
from headroom.graph.tensor import DataType
from headroom.predict.counted_bytes import LEARNED
from headroom.predict.counters import KnownKernel, counters_of
from headroom.predict.fourier_bytes import LEARNED_FOURIER
from known_kernels import kernel_of
from record import RESULTS
from traffic_rows import GPU, is_fitted, judged_levels, over

#: Factors by which a constant is changed, first and last, and rounds.
STEPS = (1.25, 1.1, 1.04, 1.015)

Row = tuple[dict[str, Any], Point, KnownKernel]


def rows_to_fit() -> list[Row]:
    """Counted rows of the fitting part whose kernels are known."""
    found = []
    for script in (h200_traffic, h200_sensitivity):
        points = {p.key: p for dtype in (DataType.BF16, DataType.FP32) for p in script.points(dtype)}
        for row in rows_of(RESULTS / f"{script.NAME}.jsonl"):
            point = points[row["key"]]
            kernel = kernel_of(row, point.layer, GPU.sms)
            if kernel is not None and is_fitted(point) and "l1_bytes" in row:
                found.append((row, point, kernel))
    return found


def error(rows: list[Row], values: dict[str, float]) -> float:
    """Mean absolute logarithm of the ratios, over all judged levels of all rows."""
    names = {field.name for field in fields(LEARNED)}
    learned = replace(LEARNED, **{name: value for name, value in values.items() if name in names})
    fourier = replace(LEARNED_FOURIER, **{name: value for name, value in values.items() if name not in names})
    logs = [
        abs(np.log(ratio))
        for row, point, kernel in rows
        for ratio in over(
            counters_of(point.layer, kernel, GPU, point.dtype, learned, fourier), row, judged_levels(row, point)
        ).values()
    ]
    return float(np.mean(logs))


def fit(rows: list[Row]) -> dict[str, float]:
    """The constants, each moved as long as the error falls."""
    values = {**asdict(LEARNED), **asdict(LEARNED_FOURIER)}
    best = error(rows, values)
    for step in STEPS:
        for name in values:
            for factor in (step, 1.0 / step):
                moved = {**values, name: values[name] * factor}
                found = error(rows, moved)
                if found < best - 1e-5:
                    values, best = moved, found
    return {name: float(f"{value:.3g}") for name, value in values.items()}


if __name__ == "__main__":
    counted = rows_to_fit()
    before = {**asdict(LEARNED), **asdict(LEARNED_FOURIER)}
    found = fit(counted)
    print(f"{len(counted)} rows, {100 * error(counted, before):.2f} % before, {100 * error(counted, found):.2f} % now")
    for name, value in found.items():
        print(f"    {name}: float = {value:g}")
