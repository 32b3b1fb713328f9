"""Several databases read as one: the user's own measurements, and those that came with the package."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from types import TracebackType
from typing import TYPE_CHECKING, Self

from headroom.graph.tensor import DataType
from headroom.store.browse import ChainFound
from headroom.store.choose import named, of_gpu
from headroom.store.place import Place
from headroom.store.record import ChainRecord
from headroom.store.rows import Counters, NetworkTiming, Status, System, Timing
from headroom.store.store import Store
from headroom.store.summaries import Holding, SystemSummary
from headroom.store.together import counters_together, networks_together, records_together, timings_together

if TYPE_CHECKING:
    from pandas import DataFrame


class Stores:
    """Databases opened for reading, in the order in which they count (:mod:`headroom.store.together`)."""

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
    def names(self) -> tuple[str, ...]:
        """Where each of them is."""
        return tuple(store.name for store in self._stores)

    @property
    def name(self) -> str:
        return ", ".join(self.names) or "(none)"

    def close(self) -> None:
        for store in self._stores:
            store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def systems(self, gpu: str | None = None) -> tuple[SystemSummary, ...]:
        """What is known of each system, the last measured first. ``rows`` counts those of every database."""
        told: dict[System, list[SystemSummary]] = defaultdict(list)
        for summary in (summary for store in self._stores for summary in store.systems()):
            told[summary.system].append(summary)
        summaries = [self._together(each) for each in told.values()]
        summaries.sort(key=lambda summary: (summary.last_measured, summary.layers), reverse=True)
        return of_gpu(summaries, gpu)

    def find_system(self, name: str) -> System:
        """The system whose id is ``name`` or begins with it.

        Raises:
            StoreError: there is none, or more than one.
        """
        return named(self.systems(), name, self.name)

    def place_of(self, system: System) -> int:
        """Which of the databases, counted from 0, is the first that has measurements of ``system``."""
        holders = (place for place, store in enumerate(self._stores) if store.holds(system))
        return next(holders, len(self._stores))

    def known(self, system: System, digests: Collection[str] | None = None) -> dict[tuple[str, DataType, str], bool]:
        """What there are rows of, as :meth:`Store.known` tells it."""
        found: dict[tuple[str, DataType, str], bool] = {}
        for store in self._stores:
            for place, is_timed in store.known(system, digests).items():
                found[place] = found.get(place, False) or is_timed
        return found

    def finished(
        self,
        system: System,
        dtype: DataType,
        plans: str,
        missing: Collection[str] = (),
        digests: Collection[str] | None = None,
    ) -> frozenset[str]:
        """Digests of the chains that one of the databases need not visit again, as :meth:`Store.finished` tells it."""
        return frozenset().union(*(store.finished(system, dtype, plans, missing, digests) for store in self._stores))

    def timings(self, digest: str, system: System, dtype: DataType, l2: str | None = None) -> tuple[Timing, ...]:
        """Every row of one chain, fastest first, those without a time last."""
        return timings_together(store.timings(digest, system, dtype, l2) for store in self._stores)

    def best(self, system: System, dtype: DataType, l2: str, digests: Iterable[str]) -> dict[str, Timing]:
        """The fastest timing with status ``ok`` of each chain that has one, by digest."""
        wanted = list(dict.fromkeys(digests))
        asked = [store for store in self._stores if store.holds(system)]
        if len(asked) == 1:
            return asked[0].best(system, dtype, l2, wanted)
        told = Counter(
            digest for store in asked for digest, *state in store.known(system, wanted) if state == [dtype, l2]
        )
        answers = [store.best(system, dtype, l2, wanted) for store in asked]
        found: dict[str, Timing] = {}
        for digest in told:
            fastest = [answer[digest] for answer in answers if digest in answer]
            if len(fastest) == told[digest] and all(row == fastest[0] for row in fastest):
                found[digest] = fastest[0]
            elif fastest:
                rows = self.timings(digest, system, dtype, l2)
                found.update([(digest, row) for row in rows if row.status is Status.OK][:1])
        return found

    def holdings(self, system: System) -> tuple[Holding, ...]:
        """How much is known of ``system``, by data type and state of the L2 cache; rows are those of every database."""
        told: dict[tuple[DataType, str], list[Holding]] = defaultdict(list)
        for holding in (holding for store in self._stores for holding in store.holdings(system)):
            told[holding.dtype, holding.l2].append(holding)
        layers: Counter[tuple[DataType, str]] = Counter()
        if any(len(each) > 1 for each in told.values()):
            layers.update((dtype, l2) for (_, dtype, l2), is_timed in self.known(system).items() if is_timed)
        order = list(DataType)
        return tuple(
            each[0] if len(each) == 1 else Holding(*place, layers[place], _sums(each))
            for place, each in sorted(told.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
        )

    def chains(self, system: System, dtype: DataType, l2: str, words: Sequence[str] = ()) -> tuple[ChainFound, ...]:
        """Chains that there are rows of in one of the databases, as :meth:`Store.chains` tells them."""
        found = {each.digest: each for store in self._stores for each in store.chains(system, dtype, l2, words)}
        return tuple(sorted(found.values(), key=lambda each: (-each.macs, each.digest)))

    def networks(self, system: System, graph_digest: str | None = None) -> tuple[NetworkTiming, ...]:
        """Whole networks timed on ``system``: all of them, or the modes of one graph."""
        return networks_together(store.networks(system, graph_digest) for store in self._stores)

    def counters(self, system: System, digest: str, dtype: DataType) -> tuple[Counters, ...]:
        """What the hardware counted for implementations of a chain."""
        return counters_together(store.counters(system, digest, dtype) for store in self._stores)

    def records(self, system: System) -> Iterator[ChainRecord]:
        """All that is known of each chain on ``system``, in order of digest, data type and method."""
        merged = heapq.merge(*(store.records(system) for store in self._stores), key=_place_of)
        return (records_together(list(records)) for _, records in groupby(merged, key=_place_of))

    def runs(self, system: System) -> Iterator[NetworkTiming]:
        """Every whole network timed on ``system``, by any version of the method."""
        return iter(networks_together(list(store.runs(system)) for store in self._stores))

    def to_pandas(self, gpu: str | None = None) -> DataFrame:
        """Every timing as a pandas frame, as :meth:`Store.to_pandas` gives it."""
        from headroom.store.flat import to_frame

        return to_frame(self, gpu)

    def _together(self, summaries: Sequence[SystemSummary]) -> SystemSummary:
        if len(summaries) == 1:
            return summaries[0]
        system = summaries[0].system
        return SystemSummary(
            system,
            layers=len({digest for (digest, _, _), is_timed in self.known(system).items() if is_timed}),
            rows=sum(summary.rows for summary in summaries),
            last_measured=max(summary.last_measured for summary in summaries),
        )


def _place_of(record: ChainRecord) -> tuple[str, str, int]:
    return record.chain.digest, str(record.dtype), record.method


def _sums(holdings: Iterable[Holding]) -> dict[Status, int]:
    total: Counter[Status] = Counter()
    for holding in holdings:
        total.update(holding.statuses)
    return dict(total)
