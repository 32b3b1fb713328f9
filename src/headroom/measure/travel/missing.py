"""What a database lacks for a target: the question behind ``--only-missing``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from headroom.errors import StoreError
from headroom.graph.tensor import DataType
from headroom.measure.task import Task
from headroom.store.rows import System
from headroom.store.summaries import SystemSummary


class Known(Protocol):
    """What is asked of the databases (:class:`headroom.store.several.Stores`)."""

    @property
    def name(self) -> str: ...

    def systems(self, gpu: str | None = None) -> Sequence[SystemSummary]: ...

    def find_system(self, name: str) -> System: ...

    def known(self, system: System, digests: Collection[str] | None = None) -> Mapping[tuple[str, DataType, str], bool]:
        """Of which chains, data types and states of the L2 cache there are rows."""

    def finished(
        self,
        system: System,
        dtype: DataType,
        plans: str,
        missing: Collection[str] = (),
        digests: Collection[str] | None = None,
    ) -> frozenset[str]: ...


def target_system(known: Known, tasks: Sequence[Task], gpu: str | None, system: str | None) -> System | None:
    """The system that ``system`` names, or of those with ``gpu`` the one that knows most of ``tasks``; ``None`` where
    nothing was ever measured on such a GPU.

    Raises:
        StoreError: no system has that name, or neither a name nor a GPU was given and there are several GPUs.
    """
    if system is not None:
        return known.find_system(system)
    systems = [summary.system for summary in known.systems(gpu)]
    names = sorted({each.gpu for each in systems})
    if gpu is None and len(names) > 1:
        raise StoreError(f"{known.name} has rows of {len(names)} GPUs ({', '.join(names)[:80]}): name one with --gpu")
    # Of equals the first, which was measured last.
    return max(systems, key=lambda each: len(tasks) - len(lacking(known, tasks, each)), default=None)


def lacking(known: Known, tasks: Sequence[Task], system: System) -> list[Task]:
    """Those of ``tasks`` that ``system`` has no finished visit of, in their order.

    A layer that only libraries beyond a traveller's could run counts as known as soon as it was visited.
    """
    by_dtype: dict[DataType, list[str]] = {}
    for task in tasks:
        by_dtype.setdefault(task.dtype, []).append(task.chain.digest)
    # Which libraries were missing at that visit says nothing of those that travel.
    done = {dtype: _visited(known, system, dtype, digests) for dtype, digests in by_dtype.items()}
    return [task for task in tasks if task.chain.digest not in done[task.dtype]]


def _visited(known: Known, system: System, dtype: DataType, digests: Sequence[str]) -> frozenset[str]:
    from headroom.measure.backends import MODULES

    return known.finished(system, dtype, "all", tuple(MODULES), digests)
