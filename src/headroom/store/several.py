"""Several databases read as one: the user's own measurements first, then those that came with the package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType

from headroom.graph.tensor import DataType
from headroom.store.choose import named, of_gpu
from headroom.store.place import Place
from headroom.store.rows import Counters, NetworkTiming, System, Timing
from headroom.store.store import Store
from headroom.store.summaries import Holding, SystemSummary


class Stores:
    """Databases opened for reading. For each question the first of them that knows an answer gives it.

    What the user measured thus counts before what was shipped, chain by chain.
    """

    def __init__(self, stores: Sequence[Store]) -> None:
        self._stores = tuple(stores)

    @classmethod
    def open(cls, places: Iterable[Place]) -> Stores:
        """Open every one of ``places`` for reading.

        Raises:
            StoreError: one of them cannot be read.
        """
        with ExitStack() as opened:
            stores = [opened.enter_context(Store.at(place, read_only=True)) for place in places]
            opened.pop_all()
        return cls(stores)

    @property
    def name(self) -> str:
        return ", ".join(store.name for store in self._stores) or "(none)"

    def close(self) -> None:
        for store in self._stores:
            store.close()

    def __enter__(self) -> Stores:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def systems(self, gpu: str | None = None) -> tuple[SystemSummary, ...]:
        """What is known of each system, the last measured first."""
        known: dict[System, SystemSummary] = {}
        for summary in (summary for store in self._stores for summary in store.systems()):
            known[summary.system] = _together(known.get(summary.system, summary), summary)
        newest = sorted(known.values(), key=lambda summary: (summary.last_measured, summary.layers), reverse=True)
        return of_gpu(newest, gpu)

    def find_system(self, name: str) -> System:
        """The system whose id is ``name`` or begins with it.

        Raises:
            StoreError: there is none, or more than one.
        """
        return named(self.systems(), name, self.name)

    def timings(self, digest: str, system: System, dtype: DataType, l2: str | None = None) -> tuple[Timing, ...]:
        """Every row of one chain, fastest first, those without a time last."""
        return next(filter(None, (store.timings(digest, system, dtype, l2) for store in self._stores)), ())

    def best(self, system: System, dtype: DataType, l2: str, digests: Iterable[str]) -> dict[str, Timing]:
        """The fastest timing with status ``ok`` of each chain that has one, by digest."""
        wanted = set(digests)
        found: dict[str, Timing] = {}
        for store in self._stores:
            found |= store.best(system, dtype, l2, wanted - set(found))
        return found

    def holdings(self, system: System) -> tuple[Holding, ...]:
        """How much the database that knows most knows of ``system``, by data type and state of the L2 cache."""
        known: dict[tuple[DataType, str], Holding] = {}
        for holding in (holding for store in self._stores for holding in store.holdings(system)):
            key = (holding.dtype, holding.l2)
            known[key] = max(known.get(key, holding), holding, key=lambda each: each.layers)
        return tuple(known.values())

    def networks(self, system: System, graph_digest: str | None = None) -> tuple[NetworkTiming, ...]:
        """Whole networks timed on ``system``: all of them, or the modes of one graph."""
        known = {
            (run.graph, run.batch, run.dtype, run.mode): run
            for store in reversed(self._stores)
            for run in store.networks(system, graph_digest)
        }
        return tuple(known.values())

    def counters(self, system: System, digest: str, dtype: DataType) -> tuple[Counters, ...]:
        """What the hardware counted for implementations of a chain."""
        return next(filter(None, (store.counters(system, digest, dtype) for store in self._stores)), ())


def _together(one: SystemSummary, other: SystemSummary) -> SystemSummary:
    """Two databases' summaries of a system. One is mostly a copy of the other, so that the fuller one counts."""
    fuller = max(one, other, key=lambda summary: (summary.layers, summary.rows))
    return replace(fuller, last_measured=max(one.last_measured, other.last_measured))
