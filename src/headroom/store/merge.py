"""Bringing another database's measurements into this one. Equal keys keep the newer row; systems never mix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Protocol

from headroom.errors import StoreError
from headroom.graph.chain import Chain
from headroom.store.record import ChainRecord, Tally
from headroom.store.rows import NetworkTiming, System
from headroom.store.store import Store
from headroom.store.walk import walk_chains, walk_networks, walk_records, walk_systems
from headroom.store.write import put_network, put_record


class Source(Protocol):
    """What is merged: another database, or a file that was exported from one."""

    @property
    def name(self) -> str: ...

    def systems(self) -> Mapping[str, System]:
        """Its systems by the ids that it gives them."""

    def chains(self) -> Iterable[tuple[str, Chain | None]]:
        """Its chains with the digests that it gives them; ``None`` for one that cannot be read."""

    def records(self) -> Iterator[ChainRecord]: ...

    def networks(self) -> Iterator[tuple[System, NetworkTiming]]: ...


class StoreSource:
    """Another database as a source."""

    def __init__(self, store: Store) -> None:
        self._database = store.database
        self.name = store.name

    def systems(self) -> Mapping[str, System]:
        with self._database.reading() as connection:
            return walk_systems(connection)

    def chains(self) -> Iterable[tuple[str, Chain | None]]:
        with self._database.reading() as connection:
            yield from walk_chains(connection)

    def records(self) -> Iterator[ChainRecord]:
        with self._database.reading() as connection:
            for system in walk_systems(connection).values():
                yield from walk_records(connection, system)

    def networks(self) -> Iterator[tuple[System, NetworkTiming]]:
        with self._database.reading() as connection:
            for system in walk_systems(connection).values():
                for network in walk_networks(connection, system):
                    yield system, network


def merge(store: Store, source: Source) -> Tally:
    """Write everything of ``source`` into ``store``, a chain per transaction; merging again changes nothing.

    Returns:
        What became of the measurements: added, in place of an older one, or left out for a newer one.

    Raises:
        StoreError: what should be one system or one chain differs in a field, which is named; nothing is written then.
    """
    _refuse_disagreement(store, source)
    tally = Tally()
    for record in source.records():
        with store.database.writing() as connection:
            tally += put_record(connection, record, keep_newer=True)
    for system, network in source.networks():
        with store.database.writing() as connection:
            tally += put_network(connection, system, network, keep_newer=True)
    return tally


def _refuse_disagreement(store: Store, source: Source) -> None:
    with store.database.reading() as connection:
        ours = walk_systems(connection)
        for name, system in source.systems().items():
            _refuse_system(name, system, ours.get(name), store.name, source.name)
        for digest, chain in source.chains():
            if chain is None or chain.digest != digest:
                raise StoreError(
                    f"chain {digest} in {source.name} does not have the layers that its digest stands for: "
                    "the file was altered; nothing was merged"
                )


def _refuse_system(name: str, theirs: System, ours: System | None, here: str, there: str) -> None:
    if ours is not None and ours != theirs:
        mine, other = asdict(ours), asdict(theirs)
        field = next(field for field in mine if mine[field] != other[field])
        raise StoreError(
            f"system {name} has {field} {mine[field]!r} in {here} but {other[field]!r} in {there}: "
            "one of them was altered; nothing was merged"
        )
    if theirs.id != name:
        raise StoreError(
            f"system {name} in {there} ({theirs.title}) does not have the fields that its id stands for: "
            "the file was altered; nothing was merged"
        )
