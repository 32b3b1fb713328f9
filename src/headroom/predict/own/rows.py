"""Measured layers out of a database, as a calibration takes them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from headroom.errors import StoreError, UsageError
from headroom.gpu.sheets import gpu_of_driver
from headroom.gpu.spec import GpuSpec
from headroom.predict.own.fit import MeasuredLayer
from headroom.store.record import ChainRecord
from headroom.store.rows import METHOD, Status, System, Timing

if TYPE_CHECKING:
    from headroom.store.several import Stores

#: A spread beyond this says nothing about a kernel, as in the stopwatch's own verdict.
UNSTABLE = 0.25


def system_of(store: Stores, gpu: GpuSpec, system_id: str | None = None) -> System:
    """The system named, else the one of ``gpu`` with the most measured layers.

    Unlike an answer, a calibration may be for a sheet of the user's own: its ``driver_names`` say whose rows it takes.

    Raises:
        StoreError: there is no such system, or none of this GPU.
        UsageError: the system named is of another GPU.
    """

    def is_own(system: System) -> bool:
        return gpu_of_driver(system.gpu) == gpu or system.gpu in gpu.driver_names

    if system_id is not None:
        named = store.find_system(system_id)
        if not is_own(named):
            raise UsageError(f"system {named.id} is of '{named.gpu}', not of {gpu.name}: leave out --system or --gpu")
        return named
    known = [summary for summary in store.systems() if is_own(summary.system)]
    if not known:
        raise StoreError(f"nothing was measured on {gpu.name}: run headroom measure on it first")
    return max(known, key=lambda summary: summary.layers).system


def measured_layers(store: Stores, system: System) -> list[MeasuredLayer]:
    """Every single layer with its fastest usable time, in each data type and state of the L2 cache."""
    return [row for record in store.records(system) if record.method == METHOD for row in _rows(record)]


def _rows(record: ChainRecord) -> Iterator[MeasuredLayer]:
    if len(record.chain.layers) != 1:
        return
    for l2 in sorted({timing.l2 for timing in record.timings}):
        times = [t.median_us for t in record.timings if t.l2 == l2 and _is_usable(t) and t.median_us is not None]
        if times:
            yield MeasuredLayer(record.chain.layers[0], record.dtype, l2, min(times))


def _is_usable(timing: Timing) -> bool:
    time_us = timing.median_us
    if timing.status is not Status.OK or time_us is None or not (math.isfinite(time_us) and time_us > 0):
        return False
    return timing.noise is None or timing.noise <= UNSTABLE
