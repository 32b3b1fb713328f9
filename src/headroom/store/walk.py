"""Everything in a database, one chain after the other: what export, merge and check go through."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, select, union

from headroom.errors import ModelError, StoreError
from headroom.graph.chain import Chain
from headroom.store.codec import to_counters, to_dtype, to_network, to_system
from headroom.store.intern import chunks
from headroom.store.read import counters_query, timings_query, to_timings
from headroom.store.record import ChainRecord
from headroom.store.rows import NetworkTiming, System
from headroom.store.tables import chains, counters, networks, sweeps, systems, timings

#: Chains read with one set of queries: some ten thousand rows.
_AT_ONCE = 100


def walk_systems(connection: Connection) -> dict[str, System]:
    """Every system by the id under which it is kept, which is its own unless a row was altered."""
    rows = connection.execute(select(systems).order_by(systems.c.id)).mappings()
    return {row["id"]: to_system(row) for row in rows}


def walk_chains(connection: Connection) -> Iterator[tuple[str, Chain | None]]:
    """Every chain with the digest under which it is kept; ``None`` where its layers cannot be read."""
    for row in connection.execute(select(chains.c.digest, chains.c.layers).order_by(chains.c.digest)):
        try:
            yield row.digest, to_chain(row.digest, row.layers)
        except StoreError:
            yield row.digest, None


def to_chain(digest: str, layers: str) -> Chain:
    """The chain that ``layers`` spells.

    Raises:
        StoreError: it spells none, so that what was measured cannot be told.
    """
    try:
        return Chain.from_json(json.loads(layers))
    except (ModelError, ValueError) as error:
        raise StoreError(f"the layers of chain {digest} cannot be read: restore the database from a copy") from error


def walk_records(connection: Connection, system: System) -> Iterator[ChainRecord]:
    """All that is known of each chain on ``system``, in order of digest, data type and method."""
    touched = union(*(_touched(table, system) for table in (timings, sweeps, counters))).subquery()
    query = select(chains.c.key, chains.c.digest, chains.c.layers).join(touched, touched.c.chains_key == chains.c.key)
    for chunk in chunks(connection.execute(query.order_by(chains.c.digest)).all(), _AT_ONCE):
        known = {row.key: to_chain(row.digest, row.layers) for row in chunk}
        visits = _visits(connection, system, list(known))
        for place in sorted(visits, key=lambda place: (known[place[0]].digest, place[1:])):
            key, dtype, method = place
            yield ChainRecord(system, known[key], to_dtype(dtype), method, **visits[place])


def walk_networks(connection: Connection, system: System) -> Iterator[NetworkTiming]:
    """Every whole network timed on ``system``, by any version of the method."""
    key = (networks.c.graph, networks.c.dtype, networks.c.mode, networks.c.method)
    query = select(networks).join(systems).where(systems.c.id == system.id).order_by(*key)
    yield from map(to_network, connection.execute(query).mappings())


def _touched(table: Table, system: System) -> Any:
    return select(table.c.chains_key).join(systems).where(systems.c.id == system.id)


_Place = tuple[int, str, int]


def _visits(connection: Connection, system: System, keys: list[int]) -> Mapping[_Place, dict[str, Any]]:
    """What fills a record, by chain, data type and method."""
    visits: dict[_Place, dict[str, Any]] = defaultdict(dict)
    for place, group in _grouped(connection, timings_query(), timings, system, keys):
        # In the order of their whole key, so that two equal databases give the same file.
        group.sort(key=lambda row: tuple(row[name] for name in ("l2", "backend", "name", "layout", "math")))
        visits[place]["timings"] = tuple(to_timings(connection, group))
    for place, group in _grouped(connection, counters_query(), counters, system, keys):
        group.sort(key=lambda row: tuple(row[name] for name in ("backend", "name", "layout", "math")))
        visits[place]["counters"] = tuple(map(to_counters, group))
    for place, group in _grouped(connection, select(sweeps), sweeps, system, keys):
        visits[place]["visits"] = tuple(sorted((row["plans"], row["seconds"]) for row in group))
    return visits


def _grouped(
    connection: Connection, query: Any, table: Table, system: System, keys: list[int]
) -> list[tuple[_Place, list[RowMapping]]]:
    groups: dict[_Place, list[RowMapping]] = defaultdict(list)
    mine = select(systems.c.key).where(systems.c.id == system.id).scalar_subquery()
    query = query.where(table.c.chains_key.in_(keys), table.c.systems_key == mine)
    for row in connection.execute(query).mappings():
        groups[row["chains_key"], row["dtype"], row["method"]].append(row)
    return list(groups.items())
