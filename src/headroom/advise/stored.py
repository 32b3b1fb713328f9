"""Measurements out of the performance database: which system answers, and its rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from types import NoneType
from typing import TYPE_CHECKING

from headroom.advise.measurements import OtherSystem
from headroom.advise.systems import systems_by_knowledge
from headroom.errors import StoreError, UsageError
from headroom.gpu.sheets import gpu_of_driver
from headroom.gpu.spec import GpuSpec
from headroom.graph.chain import Chain
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.store.rows import Counters, Implementation, NetworkTiming, System, Timing
from headroom.text import plain_line

if TYPE_CHECKING:
    from headroom.store.several import Stores


@dataclass(frozen=True)
class StoredMeasurements:
    """What the databases in ``store`` hold of ``system``; ``others`` are systems that were passed over."""

    store: Stores
    system: System
    others: tuple[OtherSystem, ...] = ()

    def best(self, chains: Iterable[Chain], dtype: DataType, l2: str) -> Mapping[str, Timing]:
        digests = {chain.digest for chain in chains}
        fastest: dict[str, Timing] = {}
        with _readable(self.store):
            for allowed in dtype.met_by:
                for digest, timing in self.store.best(self.system, allowed, l2, digests).items():
                    _check_types(timing)
                    _check_types(timing.implementation)
                    known = fastest.get(digest)
                    if known is None or _time_us(timing) < _time_us(known):
                        fastest[digest] = timing
        return fastest

    def tried(self, chains: Iterable[Chain], dtype: DataType, l2: str) -> Mapping[str, Sequence[Timing]]:
        rows: dict[str, Sequence[Timing]] = {}
        with _readable(self.store):
            for digest in {chain.digest for chain in chains}:
                timings = [row for allowed in dtype.met_by for row in self._rows(digest, allowed, l2)]
                if timings:
                    rows[digest] = sorted(timings, key=_time_us)
        return rows

    def counters(self, chains: Iterable[Chain], dtype: DataType) -> Mapping[str, Sequence[Counters]]:
        found: dict[str, Sequence[Counters]] = {}
        with _readable(self.store):
            for digest in {chain.digest for chain in chains}:
                counted = [row for allowed in dtype.met_by for row in self.store.counters(self.system, digest, allowed)]
                for row in counted:
                    _check_types(row)
                    _check_types(row.implementation)
                if counted:
                    found[digest] = counted
        return found

    def _rows(self, digest: str, dtype: DataType, l2: str) -> Sequence[Timing]:
        timings = self.store.timings(digest, self.system, dtype, l2)
        for timing in timings:
            _check_types(timing)
            _check_types(timing.implementation)
        return timings

    def networks(self, graph: str) -> Sequence[NetworkTiming]:
        with _readable(self.store):
            runs = self.store.networks(self.system, graph)
            for run in runs:
                _check_types(run)
            return runs


def _time_us(timing: Timing) -> float:
    """The time to compare by; a row without one comes last."""
    return math.inf if timing.median_us is None else timing.median_us


#: What a field may hold, by its annotation. SQLite lets any column hold anything.
_TYPES: Mapping[object, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "int | None": (int, NoneType),
    "float": (int, float),
    "float | None": (int, float, NoneType),
}


def _check_types(record: Timing | Implementation | NetworkTiming | Counters) -> None:
    for field in fields(record):
        value = getattr(record, field.name)
        if not isinstance(value, _TYPES.get(field.type, (object,))):
            raise TypeError(f"{field.name} is {value!r}")


@contextmanager
def _readable(store: Stores) -> Iterator[None]:
    """A value that no version of Headroom writes (an unknown status, text for a number) is the database's fault."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = plain_line(f"{type(error).__name__}: {error}")
        raise StoreError(
            f"a row of the database {store.name} cannot be read ({reason}): it was not written by Headroom, or is "
            f"damaged; headroom db check tells more"
        ) from error


def measurements_of(
    store: Stores, graph: Graph, gpu: GpuSpec, dtype: DataType, l2: str, system_id: str | None = None
) -> StoredMeasurements | None:
    """What was measured on ``gpu``: on the system named, else on the one that knows most of ``graph`` in this data type
    and state of the L2 cache (:mod:`headroom.advise.systems`); ``None`` if nothing was measured on that GPU.

    A system is ``gpu``'s if the driver's name of its GPU leads to this very sheet: a sheet with another figure is
    another GPU, for which no measurement holds.

    Raises:
        StoreError: there is no such system, or several.
        UsageError: the system named is of another GPU.
    """
    with _readable(store):
        named = None if system_id is None else store.find_system(system_id)
        if named is not None and gpu_of_driver(named.gpu) != gpu:
            theirs = plain_line(named.gpu, 60)
            raise UsageError(f"system {named.id} is of '{theirs}', not of {gpu.name}: leave out --system or --gpu")
        systems = [summary for summary in store.systems() if gpu_of_driver(summary.system.gpu) == gpu]
        ranked = systems_by_knowledge(store, systems, graph, dtype, l2)
    if not ranked:
        return None
    system = named or ranked[0].system
    return StoredMeasurements(
        store, system, tuple(other for other in ranked if other.system != system and other.chains)
    )
