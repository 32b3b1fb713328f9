"""Dropping what no answer uses any more, and giving the space back."""

from __future__ import annotations

from sqlalchemy import Connection, Table, and_, delete, exists, select, text

from headroom.store.rows import METHOD
from headroom.store.store import Store
from headroom.store.tables import (
    METADATA,
    chains,
    counters,
    implementations,
    kernels,
    launches,
    networks,
    notes,
    sweeps,
    systems,
    timings,
)  # fmt: skip

#: Which columns refer to the rows of a table; what none refers to is dropped.
_USES = {
    kernels: (launches.c.kernels_key,),
    implementations: (timings.c.implementations_key, counters.c.implementations_key),
    notes: (timings.c.reason_key, timings.c.gpu_uuid_key),
    chains: (timings.c.chains_key, sweeps.c.chains_key, counters.c.chains_key),
    systems: (timings.c.systems_key, sweeps.c.systems_key, counters.c.systems_key, networks.c.systems_key),
}


def vacuum(store: Store) -> int:
    """Drop rows of older versions of the method, visits that a fuller one covers, and what nothing refers to.

    Returns:
        How many rows of measurements went.
    """
    database = store.database
    with database.writing() as connection:
        if not database.is_sqlite:
            # A writer looks a key up before it refers to it: nobody may be in between while keys are dropped.
            connection.execute(text(f"LOCK TABLE {', '.join(METADATA.tables)} IN ACCESS EXCLUSIVE MODE"))
        dropped = sum(_drop_old(connection, table) for table in (timings, counters, sweeps, networks))
        dropped += _drop_covered(connection)
        for table, uses in _USES.items():
            connection.execute(delete(table).where(*(table.c.key.not_in(select(column)) for column in uses)))
    with database.alone() as connection:
        database.in_turn(lambda: connection.exec_driver_sql("VACUUM"))
        if database.is_sqlite:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return dropped


def _drop_old(connection: Connection, table: Table) -> int:
    return connection.execute(delete(table).where(table.c.method < METHOD)).rowcount


def _drop_covered(connection: Connection) -> int:
    """Visits of some plans to chains of which all plans were visited too."""
    full = sweeps.alias("full")
    same = and_(*(full.c[name] == sweeps.c[name] for name in ("systems_key", "chains_key", "dtype", "method")))
    covered = exists(select(full.c.key).where(same, full.c.plans == "all"))
    return connection.execute(delete(sweeps).where(sweeps.c.plans != "all", covered)).rowcount
