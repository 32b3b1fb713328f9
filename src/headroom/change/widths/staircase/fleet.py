"""Measuring staircases on many GPUs of one kind: all searches ask for their widths together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headroom.advise.stored import StoredMeasurements
from headroom.change.widths.staircase.curve import Point
from headroom.change.widths.staircase.measuring import known_points
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
from headroom.store.rows import System


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

    @property
    def system(self) -> System:
        """What the rows are measured on."""
        return self.kind.system

    def points(self, layers: Sequence[tuple[int, Layer]]) -> list[Point | None]:
        """As :meth:`headroom.change.widths.staircase.measuring.Stopwatch.points`, on whichever GPUs are free.

        Raises:
            GpuError: no GPU of the kind is left, or the scheduler is gone.
            StoreError: the database cannot be read or written.
        """
        system = self.system
        tasks = {chain.digest: Task(chain, self.dtype) for _, layer in layers for chain in [Chain.of([layer])]}
        plans = next(iter(tasks.values())).plans if tasks else ""
        finished = self.records.finished(system, self.dtype, plans, self.kind.missing, tasks.keys())
        items = [LayerItem(task, self.order) for digest, task in tasks.items() if digest not in finished]
        for answer in self.fleet.perform({system: iter(items)}) if items else ():
            if answer.told is None:
                raise GpuError("two workers died while they measured the same width; run the same again")
        return known_points(layers, StoredMeasurements(self.records, system), self)


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
