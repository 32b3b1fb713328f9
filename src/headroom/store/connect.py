"""Connections that keep the promises: whole transactions, a bounded wait for a lock, no hanging on a cut network.

SQLite: a write-ahead log, so that readers never wait for a writer; every commit reaches the disk before it is
acknowledged; every writing transaction takes the write lock when it begins, so that it can wait for it there and
nowhere else.
"""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool

from headroom.errors import StoreError
from headroom.store.faults import explained, is_busy
from headroom.store.place import Place
from headroom.store.turns import turn

#: Longest wait for another program's transaction, in seconds. Ours take milliseconds: beyond this something holds on.
LOCK_WAIT_S = 30.0

#: Pauses between asking for SQLite's lock, in seconds: while it is our turn, and where turns cannot be taken. SQLite's
#: own double up to 100 ms, which starves whoever has waited longest; short random ones give each the same chance.
_PAUSE_S = {True: (0.001, 0.002), False: (0.001, 0.015)}

#: Seconds until a cut network is noticed.
_NETWORK_WAIT_S = 5

_POSTGRES_ARGUMENTS = {
    "connect_timeout": _NETWORK_WAIT_S,
    "keepalives": 1,
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 1000 * _NETWORK_WAIT_S,
    "application_name": "headroom",
}

#: Execution option: how a transaction begins in SQLite, empty for none.
_BEGIN = "headroom_begin"

#: How SQLite opens a file to write it, and one that nobody writes.
_WRITING, _FROZEN = "rwc", "ro&immutable=1"

_T = TypeVar("_T")


class Database:
    """An engine and its name, handing out transactions. Whatever fails inside one is a :class:`StoreError`."""

    def __init__(self, place: Place, *, read_only: bool = False) -> None:
        self.place = place
        self.name = place.name
        self.read_only = read_only
        self._engine = _postgres(place) if place.file is None else _sqlite(place.file, _mode(place, read_only))

    @property
    def is_sqlite(self) -> bool:
        return self.place.file is not None

    @property
    def _folder(self) -> Path | None:
        """Where writers queue: a link to a database leads to the folder that the others know."""
        return None if self.place.file is None else self.place.file.resolve().parent

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database from its first query to its last."""
        options: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with (
            explained(self.name),
            self._engine.connect() as connection,
            connection.execution_options(**options).begin(),
        ):
            yield connection

    @contextmanager
    def writing(self, *, foreign_keys: bool = True) -> Iterator[Connection]:
        """A transaction that is on disk when the block ends, or has changed nothing if the block raises.

        ``foreign_keys=False`` suspends SQLite's enforcement: a migration that rebuilds a table would otherwise
        delete the rows that refer to it.
        """
        self._refuse_unless_writable()
        with (
            explained(self.name),
            self._engine.connect() as connection,
            self._suspended_keys(connection, foreign_keys),
        ):
            if self.is_sqlite:
                self._take_lock(connection)
            with connection.begin():
                yield connection

    def in_turn(self, action: Callable[[], _T]) -> _T:
        """What ``action`` returns, which takes SQLite's write lock: called when it is our turn, and again while another
        program holds the lock.

        Raises:
            OperationalError: it is held for longer than :data:`LOCK_WAIT_S`.
        """
        deadline = time.monotonic() + LOCK_WAIT_S
        with turn(self._folder) as is_ours:
            while True:
                try:
                    return action()
                except (OperationalError, sqlite3.OperationalError) as error:
                    if not is_busy(error) or time.monotonic() > deadline:
                        raise
                    time.sleep(random.uniform(*_PAUSE_S[is_ours]))  # noqa: S311 - no secret

    def _take_lock(self, connection: Connection) -> None:
        """Begin SQLite's transaction with the lock; asked of the driver, because that is done again and again."""
        connection.execution_options(**{_BEGIN: ""})
        asking = connection.connection.cursor()
        # The waiting is ours (in_turn); SQLite's own is for the locks that reading and committing take.
        asking.execute("PRAGMA busy_timeout = 0")
        try:
            self.in_turn(lambda: asking.execute("BEGIN IMMEDIATE"))
        finally:
            asking.execute(f"PRAGMA busy_timeout = {round(1000 * LOCK_WAIT_S)}")

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A connection outside any transaction, for statements that want none (``VACUUM``, ``PRAGMA``)."""
        self._refuse_unless_writable()
        options = {_BEGIN: ""} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        with explained(self.name), self._engine.connect() as connection:
            yield connection.execution_options(**options)

    def close(self) -> None:
        self._engine.dispose()

    def _refuse_unless_writable(self) -> None:
        if self.read_only:
            raise StoreError(f"the database {self.name} was opened for reading only: open it for writing to change it")

    @contextmanager
    def _suspended_keys(self, connection: Connection, foreign_keys: bool) -> Iterator[None]:
        if foreign_keys or not self.is_sqlite:
            yield
            return
        driver = connection.connection
        driver.cursor().execute("PRAGMA foreign_keys = OFF")
        try:
            yield
        finally:
            driver.cursor().execute("PRAGMA foreign_keys = ON")


def _postgres(place: Place) -> Engine:
    assert place.url is not None
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise StoreError("PostgreSQL needs psycopg: pip install 'headroom[postgres]'") from error
    # What it warns of on a lost connection is told by the error that follows, in one sentence.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())
    options = f"-c lock_timeout={round(1000 * LOCK_WAIT_S)}"
    # Asking the connection whether it lives costs a round trip and saves a run after the server was restarted.
    return create_engine(place.url, connect_args={**_POSTGRES_ARGUMENTS, "options": options}, pool_pre_ping=True)


def _sqlite(file: Path, mode: str) -> Engine:
    target = f"file:{quote(file.absolute().as_posix())}?mode={mode}"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            target, uri=True, isolation_level=None, timeout=LOCK_WAIT_S, check_same_thread=False
        )
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA query_only = {'OFF' if mode == _WRITING else 'ON'}")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=1)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _begin_sqlite(connection: Connection) -> None:
    """Python's driver would begin late and without the lock, so it was told to leave transactions to us."""
    if statement := connection.get_execution_options().get(_BEGIN, "BEGIN"):
        connection.exec_driver_sql(statement)


def _mode(place: Place, read_only: bool) -> str:
    """How to open a file; for reading, so that nothing is left behind.

    SQLite cannot read a database in write-ahead mode without the log's files beside it. Where they are there, someone
    else looks after them; where they are not, ``rw`` makes them and removes them again on closing; and in a folder
    that takes no files, nobody can be writing and the file is read as it is.
    """
    assert place.file is not None
    if place.frozen:
        return _FROZEN
    if not read_only:
        return _WRITING
    if Path(f"{place.file}-wal").exists():
        return "ro"
    return "rw" if os.access(place.file, os.W_OK) and os.access(place.file.parent, os.W_OK) else _FROZEN
