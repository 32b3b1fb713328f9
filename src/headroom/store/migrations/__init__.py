"""Steps from one schema to the next. A release that changes the tables adds a step and, with it, a schema version.

``to_2.py`` has a function ``upgrade(op)`` that turns schema 1 into schema 2 with alembic's operations; tables are
rebuilt with ``op.batch_alter_table``, because SQLite can alter little in place.
"""

from __future__ import annotations

from importlib import import_module

from sqlalchemy import Connection, text

from headroom.errors import StoreError

#: The schema that this Headroom reads and writes.
SCHEMA = 1


def migrate(connection: Connection, version: int) -> None:
    """Bring the tables from schema ``version`` to the present one, in the transaction of ``connection``."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    operations = Operations(MigrationContext.configure(connection))
    for target in range(version + 1, SCHEMA + 1):
        import_module(f"{__name__}.to_{target}").upgrade(operations)
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise StoreError("the migration would have left rows without what they refer to; nothing was changed")
    connection.execute(text("UPDATE meta SET value = :now WHERE name = 'schema_version'"), {"now": str(SCHEMA)})
