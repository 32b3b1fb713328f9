"""Keys of what is kept once: looked up, and added where it is new."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, select

from headroom.errors import StoreError
from headroom.graph.chain import Chain
from headroom.store.codec import system_values
from headroom.store.rows import System
from headroom.store.tables import chains, notes, systems

#: Values in one IN list: far below what either database takes.
CHUNK = 400

_T = TypeVar("_T")


def chunks(items: Iterable[_T], size: int = CHUNK) -> Iterator[list[_T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def intern(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> dict[tuple[Any, ...], int]:
    """Keys in ``table`` of ``rows``, by the values of their columns in order; rows that it lacks are added."""
    wanted = {tuple(row.values()): row for row in rows}
    found = _look_up(connection, table, wanted)
    missing = {values: row for values, row in wanted.items() if values not in found}
    if missing:
        _add(connection, table, [missing[values] for values in sorted(missing)])
        found |= _look_up(connection, table, missing)
    return found


def note_keys(connection: Connection, texts: Iterable[str]) -> dict[str, int]:
    """Keys of notes. What neither database can hold (NUL, half a surrogate pair) is left out of the text."""
    kept = {text: text.replace("\0", "").encode(errors="replace").decode() for text in texts}
    found = intern(connection, notes, ({"text": text} for text in kept.values()))
    return {text: found[(as_kept,)] for text, as_kept in kept.items()}


def system_key(connection: Connection, system: System) -> int:
    """The key of ``system``.

    Raises:
        StoreError: another system has its id here.
    """
    return _named(connection, systems, "id", system_values(system), f"system {system.id}")


def chain_key(connection: Connection, chain: Chain) -> int:
    """The key of ``chain``.

    Raises:
        StoreError: another chain has its digest here.
    """
    return _named(connection, chains, "digest", chain_values(chain), f"chain {chain.digest}")


def chain_values(chain: Chain) -> dict[str, Any]:
    return {
        "digest": chain.digest,
        "title": chain.title,
        "kind": str(chain.anchor.kind),
        # Beyond 64 bits a count is no longer one that anything runs; databases hold no more.
        "macs": min(chain.macs, 2**63 - 1),
        "layers": json.dumps(chain.to_json(), separators=(",", ":")),
    }


def _named(connection: Connection, table: Table, name: str, values: dict[str, Any], what: str) -> int:
    query = select(table).where(table.c[name] == values[name])
    row = connection.execute(query).mappings().first()
    if row is None:
        _add(connection, table, [values])
        row = connection.execute(query).mappings().one()
    for column, value in values.items():
        if row[column] != value:
            raise StoreError(
                f"{what} has {column} {value!r}, but the database has {row[column]!r} for it: "
                "one of them was altered; nothing was written"
            )
    return int(row["key"])


def _look_up(connection: Connection, table: Table, wanted: Iterable[tuple[Any, ...]]) -> dict[tuple[Any, ...], int]:
    wanted = set(wanted)
    columns = [column for column in table.c if column.name != "key"]
    # Few rows share the first two columns, and an IN list over one of them can use the index that begins with it.
    found: dict[tuple[Any, ...], int] = {}
    for chunk in chunks(sorted(wanted)):
        query = select(table.c.key, *columns)
        for place, column in enumerate(columns):
            query = query.where(column.in_({values[place] for values in chunk}))
        found.update({tuple(row[1:]): row[0] for row in connection.execute(query)})
    return {values: key for values, key in found.items() if values in wanted}


def _add(connection: Connection, table: Table, rows: list[Mapping[str, Any]]) -> None:
    """Add ``rows``, in order: two PostgreSQL transactions that add the same ones would else wait for each other."""
    # Both dialects have an insert of their own that says this in the same words; the other one's is not imported.
    dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
    connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)
