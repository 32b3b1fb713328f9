"""A worker on this machine's GPU, where something is to be measured, and the stopwatch on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headroom.change.synapses.planning.timing import Stopwatch
from headroom.graph.tensor import DataType


@contextmanager
def worker_on(index: int, *, shared: bool, wanted: bool) -> Iterator[Any]:
    """A worker on a GPU that is ours, where one is wanted.

    Raises:
        GpuError: there is no GPU, or others use it and ``shared`` does not allow that.
    """
    if not wanted:
        yield None
        return
    from headroom.measure.busy import Guard
    from headroom.measure.client import Worker
    from headroom.measure.driver import driver_of

    with driver_of(index) as driver:
        Guard(driver, shared=shared).admit()
        with Worker(index) as worker:
            yield worker


@contextmanager
def stopwatch_on(dtype: DataType, index: int, *, shared: bool, wanted: bool) -> Iterator[Stopwatch | None]:
    """What measures layers in one data type there, where that is wanted."""
    with worker_on(index, shared=shared, wanted=wanted) as worker:
        yield Stopwatch(worker, dtype, index) if wanted else None
