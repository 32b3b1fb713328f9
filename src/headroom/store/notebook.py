"""What a run that measures needs of databases: one to write, and all that is known before it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.store.default import shipped_places
from headroom.store.rows import Counters, NetworkTiming, Sweep, System
from headroom.store.several import Stores
from headroom.store.store import Store


class Notebook(Stores):
    """Databases read as one, of which the first is written."""

    def __init__(self, own: Store, beside: Sequence[Store] = ()) -> None:
        super().__init__([own, *beside])
        self._own = own

    def record(self, sweep: Sweep) -> None:
        """Write a visit to one chain, as :meth:`Store.record`."""
        self._own.record(sweep)

    def record_network(self, system: System, timing: NetworkTiming) -> None:
        """Write a whole network's time, as :meth:`Store.record_network`."""
        self._own.record_network(system, timing)

    def record_counters(self, system: System, chain: Chain, dtype: DataType, counters: Iterable[Counters]) -> None:
        """Write what the hardware counted, as :meth:`Store.record_counters`."""
        self._own.record_counters(system, chain, dtype, counters)


def open_for_measuring(where: str | os.PathLike[str] | None = None) -> Notebook:
    """The database to write, made where there is none, and beside the user's own those in the package.

    Raises:
        StoreError: as :meth:`Store.open`; or one in the package cannot be read.
    """
    with ExitStack() as opened:
        own = opened.enter_context(Store.open(where))
        beside = shipped_places() if where is None else []
        shipped = [opened.enter_context(Store.at(place, read_only=True)) for place in beside]
        opened.pop_all()
    return Notebook(own, shipped)
