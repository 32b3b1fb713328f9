"""Timings as a flat table: the columns of the CSV export and of the pandas frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from headroom.errors import UsageError
from headroom.store.record import ChainRecord
from headroom.store.rows import System, Timing
from headroom.store.summaries import SystemSummary

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = (
    "system", "gpu", "driver", "cuda", "cudnn", "cublas", "torch", "chain", "layers", "macs", "dtype", "method", "l2",
    "backend", "implementation", "layout", "math", "status", "reason", "median_us", "iqr_us", "samples",
    "sm_clock_mhz", "memory_clock_mhz", "throttle_mask", "workspace_bytes", "relative_error", "tolerance",
    "needed_bytes", "free_bytes", "kernels", "gpu_uuid", "measured_at",
)  # fmt: skip


class Tabled(Protocol):
    """One database or several."""

    def systems(self, gpu: str | None) -> tuple[SystemSummary, ...]: ...

    def records(self, system: System) -> Iterator[ChainRecord]: ...


def to_frame(told: Tabled, gpu: str | None) -> DataFrame:
    """Every timing of the systems with ``gpu``, or of all, as a pandas frame.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise UsageError("to_pandas needs pandas: pip install pandas, or use headroom db export") from error
    records = (record for summary in told.systems(gpu) for record in told.records(summary.system))
    rows = [flat_row(record, timing) for record in records for timing in record.timings]
    return pandas.DataFrame(rows, columns=list(COLUMNS))


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
