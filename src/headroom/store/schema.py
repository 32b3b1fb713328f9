"""Making the tables, telling whose they are, and bringing old ones up to date."""

from __future__ import annotations

import re
import uuid

from sqlalchemy import Connection, insert, inspect, select, text

from headroom._version import __version__
from headroom.errors import StoreError
from headroom.store import migrations
from headroom.store.connect import Database
from headroom.store.tables import METADATA, meta
from headroom.text import plain_line

#: Held in PostgreSQL while tables are made or changed, so that two programs do not do it at once.
_POSTGRES_LOCK = 0x48656164

#: How a schema version is spelled; there never was a schema 0.
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


def prepare(database: Database) -> None:
    """See that ``database`` has the present tables: make them, migrate old ones, or refuse what is not ours.

    Raises:
        StoreError: not a performance database, or one of a newer Headroom; it is left as it was.
    """
    with database.reading() as connection:
        version = _version(connection, database.name)
    if version == migrations.SCHEMA:
        return
    if version is None and database.read_only:
        raise StoreError(f"the database {database.name} is empty: headroom measure fills it, headroom db import too")
    if database.read_only:
        raise StoreError(
            f"the database {database.name} has schema {version}, this Headroom reads {migrations.SCHEMA}: "
            "run headroom db vacuum on it, which brings it up to date"
        )
    if version is None and database.is_sqlite:
        with database.alone() as connection:
            database.in_turn(lambda: connection.exec_driver_sql("PRAGMA journal_mode = WAL"))
    with database.writing(foreign_keys=False) as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_LOCK})
        version = _version(connection, database.name)  # another program may have been quicker
        if version is None:
            _create(connection)
        elif version < migrations.SCHEMA:
            migrations.migrate(connection, version)


def database_id(connection: Connection) -> str:
    """32 hexadecimal digits that tell this database from any other, wherever it is copied to."""
    return str(connection.execute(select(meta.c.value).where(meta.c.name == "database_id")).scalar_one())


def _create(connection: Connection) -> None:
    METADATA.create_all(connection)
    facts = {"schema_version": str(migrations.SCHEMA), "database_id": uuid.uuid4().hex, "created_by": __version__}
    connection.execute(insert(meta), [{"name": name, "value": value} for name, value in facts.items()])


def _version(connection: Connection, name: str) -> int | None:
    """The schema of the tables, or ``None`` where there are none yet."""
    present = set(inspect(connection).get_table_names())
    if meta.name not in present:
        # A server's database may hold other people's tables; a file that does is not ours.
        taken = present if connection.dialect.name == "sqlite" else present & set(METADATA.tables)
        if taken:
            raise StoreError(f"{name} is not a Headroom database (it holds {min(taken)}): name another with --db")
        return None
    said = connection.execute(select(meta.c.value).where(meta.c.name == "schema_version")).scalar_one_or_none()
    if said is None or not _VERSION.fullmatch(str(said)):
        told = "no schema version in it" if said is None else f"schema '{plain_line(str(said), 20)}' never was"
        raise StoreError(f"{name} is not a Headroom database ({told}): name another with --db")
    if int(said) > migrations.SCHEMA:
        raise StoreError(
            f"the database {name} has schema {said}, newer than the {migrations.SCHEMA} that this Headroom knows: "
            "upgrade Headroom, or name another with --db"
        )
    return int(said)
