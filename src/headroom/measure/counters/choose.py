"""Which layers are worth counting: those that take most of a model's time, as their fastest implementations run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.measure.counters.request import Subject
from headroom.measure.plan import plan_tasks
from headroom.store.rows import System, Timing

#: ``ncu`` takes seconds per layer; these hold most of a network's time.
MOST = 12


class Best(Protocol):
    """The database, as far as it is needed here."""

    def best(self, system: System, dtype: DataType, l2: str, digests: Iterable[str]) -> Mapping[str, Timing]: ...


def costliest(
    graph: Graph, dtype: DataType, known: Best, system: System, *, l2: str = "warm", most: int = MOST
) -> list[Subject]:
    """The fastest implementations of the ``most`` layers that take the longest, all their occurrences together.

    Layers that the database has no time for are left out; fused chains are, too, because their layers are in.
    """
    planned = plan_tasks(graph, dtype, fused=False)
    found = known.best(system, dtype, l2, [item.task.chain.digest for item in planned])
    timed = [(item, found[item.task.chain.digest]) for item in planned if item.task.chain.digest in found]
    timed.sort(key=lambda pair: -pair[0].count * (pair[1].median_us or 0.0))
    return [Subject(item.task.chain, dtype, timing.implementation) for item, timing in timed[:most]]
