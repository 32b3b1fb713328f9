"""Sets of kernels as the calibration file holds them: one record per kernel, by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields

import numpy as np

from headroom.predict.kernel_time import Kernels, KernelSet, Shares

Record = Mapping[str, Mapping[str, object]]


def kernel_set(record: Record) -> KernelSet:
    """A set from its record."""
    columns: Mapping[str, Mapping[str, float]] = record["kernels"]  # type: ignore[assignment]
    values = {
        field.name: np.array([kernel.get(field.name, 0.0) for kernel in columns.values()], dtype=np.float64)
        for field in fields(Kernels)
    }
    return KernelSet(tuple(columns), Kernels(**values), Shares(**record["shares"]))  # type: ignore[arg-type]


def record_of(known: KernelSet) -> Record:
    """The set's record; a figure that is 0 is left out."""
    kernels = {}
    for place, name in enumerate(known.names):
        values = {field.name: float(getattr(known.kernels, field.name)[place]) for field in fields(Kernels)}
        kernels[name] = {figure: value for figure, value in values.items() if value}
    return {"shares": asdict(known.shares), "kernels": kernels}
