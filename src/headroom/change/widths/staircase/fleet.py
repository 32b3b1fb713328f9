"""Measuring staircases on many GPUs of one kind: each search waits for its widths, and many search at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from headroom.advise.stored import StoredMeasurements
from headroom.change.widths.staircase.curve import Point
from headroom.change.widths.staircase.measuring import find_staircase, fixed_widths
from headroom.change.widths.staircase.points import measured_points
from headroom.change.widths.staircase.study import Subject
from headroom.errors import GpuError, UsageError
from headroom.gpu.sheets import gpu_of_driver
from headroom.gpu.spec import GpuSpec
from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.measure.fleet.fleet import Fleet, KindThere
from headroom.measure.fleet.items import LayerItem, Order
from headroom.measure.fleet.place import written_by
from headroom.measure.task import Task
from headroom.store.notebook import Notebook


@dataclass(frozen=True)
class FleetStopwatch:
    """The GPUs of one kind in a fleet, and the database that their rows go to."""

    fleet: Fleet
    kind: KindThere
    records: Notebook
    order: Order
    gpu: GpuSpec
    dtype: DataType
    l2: str = "warm"

    def point(self, width: int, layer: Layer) -> Point | None:
        """As :meth:`headroom.change.widths.staircase.measuring.Stopwatch.point`, on whichever GPU is free.

        Raises:
            GpuError: no GPU of the kind is left, or the scheduler is gone.
            StoreError: the database cannot be read or written.
        """
        system, task = self.kind.system, Task(Chain.of([layer]), self.dtype)
        digest = task.chain.digest
        if digest not in self.records.finished(system, self.dtype, task.plans, self.kind.missing, {digest}):
            for answer in self.fleet.perform({system: iter([LayerItem(task, self.order)])}):
                if answer.told is None:
                    raise GpuError(f"two workers died while they measured width {width}; run the same again")
        return measured_points(
            [(width, layer)], StoredMeasurements(self.records, system), self.gpu, self.dtype, self.l2
        ).get(width)


def fleet_stopwatch(
    fleet: Fleet, records: Notebook, where: str | None, gpu: GpuSpec, dtype: DataType, *, l2: str, shared: bool
) -> FleetStopwatch:
    """A stopwatch on the GPUs in ``fleet`` that ``gpu`` is the sheet of, or on all where they are of one kind.

    Raises:
        GpuError: there is no worker.
        UsageError: there are several kinds, and ``gpu`` is none of them.
    """
    kinds = fleet.kinds()
    fitting = [kind for kind in kinds if gpu_of_driver(kind.system.gpu) == gpu] or kinds
    if len(fitting) > 1:
        names = ", ".join(kind.system.title for kind in fitting)
        raise UsageError(f"which of the fleet's GPUs is {gpu.name}? It has {names}; name one of them with --gpu")
    return FleetStopwatch(fleet, fitting[0], records, Order(written_by(fleet, where), shared), gpu, dtype, l2)


def find_on_fleet(
    subjects: Sequence[Subject], watch: FleetStopwatch, *, on_width: Callable[[int], None] = lambda width: None
) -> None:
    """Search the staircases of all ``subjects``, as many at a time as the GPUs take layers; see
    :func:`headroom.change.widths.staircase.measuring.find_staircases`."""
    with ThreadPoolExecutor(max_workers=watch.kind.seats) as threads:
        searches = [
            threads.submit(find_staircase, subject, in_width, watch, on_width=on_width)
            for subject in subjects
            for in_width in fixed_widths(subject)
        ]
        try:
            for search in searches:
                search.result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
