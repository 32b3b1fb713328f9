"""Timings as a flat table: the columns of the CSV export and of the pandas frame."""

from __future__ import annotations

from typing import Any

from headroom.store.record import ChainRecord
from headroom.store.rows import Timing

COLUMNS = (
    "system", "gpu", "driver", "cuda", "cudnn", "cublas", "torch", "chain", "layers", "macs", "dtype", "method", "l2",
    "backend", "implementation", "layout", "math", "status", "reason", "median_us", "iqr_us", "samples",
    "sm_clock_mhz", "memory_clock_mhz", "throttle_mask", "workspace_bytes", "relative_error", "tolerance",
    "needed_bytes", "free_bytes", "kernels", "gpu_uuid", "measured_at",
)  # fmt: skip


def flat_row(record: ChainRecord, timing: Timing) -> dict[str, Any]:
    """One timing by column; ``kernels`` are their names in order, joined by `` + ``."""
    system, chain, implementation = record.system, record.chain, timing.implementation
    known = {
        "system": system.id,
        "chain": chain.digest,
        "layers": chain.title,
        "macs": chain.macs,
        "dtype": str(record.dtype),
        "method": record.method,
        "backend": implementation.backend,
        "implementation": implementation.name,
        "layout": implementation.layout,
        "math": implementation.math,
        "status": str(timing.status),
        "kernels": " + ".join(kernel.name for kernel in timing.kernels),
    }
    return {
        column: known[column] if column in known else getattr(system if hasattr(system, column) else timing, column)
        for column in COLUMNS
    }
