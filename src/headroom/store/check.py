"""Whether a database holds what it should: its file, its references, and what every row must satisfy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sqlalchemy import ColumnElement, Connection, Table, func, or_, select

from headroom.graph.tensor import DataType
from headroom.store.rows import PLANS, Status
from headroom.store.store import Store
from headroom.store.tables import counters, networks, sweeps, timings
from headroom.store.walk import walk_chains, walk_systems

#: A time of fewer samples has no noise that could be told beside it.
LEAST_SAMPLES = 10


def problems(store: Store) -> tuple[str, ...]:
    """What is wrong with ``store``, a sentence each; nothing where it is sound.

    Raises:
        StoreError: it is damaged so far that it cannot be read through.
    """
    with store.database.reading() as connection:
        checks = [_systems, _chains, _timings, _words]
        if store.database.is_sqlite:
            checks = [_file, *checks]
        return tuple(problem for check in checks for problem in check(connection))


def _file(connection: Connection) -> Iterator[str]:
    for row in connection.exec_driver_sql("PRAGMA integrity_check(20)"):
        if row[0] != "ok":
            yield f"the file is damaged: {row[0]}"
    dangling = Counter(
        (table, parent) for table, _, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check")
    )
    for (table, parent), number in dangling.items():
        yield f"{number} rows of {table} refer to rows of {parent} that are not there"


def _systems(connection: Connection) -> Iterator[str]:
    for name, system in walk_systems(connection).items():
        if system.id != name:
            yield f"system {name} does not have the fields that its id stands for ({system.title})"


def _chains(connection: Connection) -> Iterator[str]:
    for digest, chain in walk_chains(connection):
        if chain is None or chain.digest != digest:
            yield f"chain {digest} does not have the layers that its digest stands for"


def _timings(connection: Connection) -> Iterator[str]:
    is_ok = timings.c.status == str(Status.OK)
    untimed = or_(timings.c.median_us.is_(None), timings.c.median_us <= 0)
    yield from _counted(connection, timings, is_ok & untimed, "timings are ok without a time above 0")
    short = timings.c.samples < LEAST_SAMPLES
    yield from _counted(connection, timings, is_ok & short, f"timings are ok with fewer than {LEAST_SAMPLES} samples")
    yield from _counted(connection, timings, timings.c.l2.not_in(("warm", "cold")), "timings have no known L2 state")


def _words(connection: Connection) -> Iterator[str]:
    for table in (timings, networks):
        unknown = table.c.status.not_in([str(status) for status in Status])
        yield from _counted(connection, table, unknown, f"{table.name} have a status that is none")
    for table in (timings, sweeps, counters, networks):
        unknown = table.c.dtype.not_in([str(dtype) for dtype in DataType])
        yield from _counted(connection, table, unknown, f"{table.name} have a data type that is none")
    unknown = sweeps.c.plans.not_in(PLANS)
    yield from _counted(connection, sweeps, unknown, "sweeps tried plans of an unknown kind")


def _counted(connection: Connection, table: Table, wrong: ColumnElement[bool], what: str) -> Iterator[str]:
    number = connection.execute(select(func.count()).select_from(table).where(wrong)).scalar_one()
    if number:
        yield f"{number} {what}"
