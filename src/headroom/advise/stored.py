"""Measurements out of the performance database: which system answers, and its rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headroom.errors import UsageError
from headroom.gpu.sheets import gpu_of_driver
from headroom.gpu.spec import GpuSpec
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.store.rows import NetworkTiming, System, Timing

if TYPE_CHECKING:
    from headroom.store.several import Stores


@dataclass(frozen=True)
class StoredMeasurements:
    """What the databases in ``store`` hold of ``system``; ``others`` are the systems that were passed over."""

    store: Stores
    system: System
    others: tuple[System, ...] = ()

    def best(self, chains: Iterable[Chain], dtype: DataType, l2: str) -> Mapping[str, Timing]:
        return self.store.best(self.system, dtype, l2, (chain.digest for chain in chains))

    def networks(self, graph: str) -> Sequence[NetworkTiming]:
        return self.store.networks(self.system, graph)


def measurements_of(store: Stores, gpu: GpuSpec, system_id: str | None = None) -> StoredMeasurements | None:
    """What was measured on ``gpu``: on the system named, else on the one that knows most; ``None`` if on none.

    A system is ``gpu``'s if the driver's name of its GPU leads to this very sheet: a sheet with another figure is
    another GPU, for which no measurement holds.

    Raises:
        StoreError: there is no such system, or several.
        UsageError: the system named is of another GPU.
    """
    if system_id is not None:
        system = store.find_system(system_id)
        if gpu_of_driver(system.gpu) != gpu:
            raise UsageError(f"system {system.id} is of '{system.gpu}', not of {gpu.name}: leave out --system or --gpu")
        return StoredMeasurements(store, system)
    from headroom.store.choose import fullest

    known = [summary for summary in store.systems() if gpu_of_driver(summary.system.gpu) == gpu]
    chosen = fullest(known)
    if chosen is None:
        return None
    return StoredMeasurements(store, chosen.system, tuple(s.system for s in known if s is not chosen))
