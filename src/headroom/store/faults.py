"""What a database says when something is wrong, as a sentence that says what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import OperationalError, SQLAlchemyError

from headroom.errors import StoreError
from headroom.store.decode import DecodeError
from headroom.text import plain_line

#: SQLite's primary result codes, in words and with the way out. Extended codes begin with these names.
_SQLITE_SENTENCES = {
    "SQLITE_BUSY": "is locked by another program: wait for it to finish, or end it, and run again",
    "SQLITE_LOCKED": "is locked by another program: wait for it to finish, or end it, and run again",
    "SQLITE_READONLY": "is read-only: make the file and its folder writable, or name another with --db",
    "SQLITE_FULL": "does not fit on its disk any more: free some space and run again; nothing was damaged",
    "SQLITE_IOERR": "cannot be written or read: check that its disk is neither full nor failing and run again",
    "SQLITE_NOTADB": "is not a database: name another file with --db",
    "SQLITE_CORRUPT": "is damaged: run headroom db check, and restore it from a copy or an export",
    "SQLITE_CANTOPEN": "cannot be opened: check that its folder exists and is yours to write",
    "SQLITE_PERM": "may not be opened: check whose file it is",
    "SQLITE_AUTH": "may not be opened: check whose file it is",
}

#: PostgreSQL's classes of errors (the first two characters of SQLSTATE).
_POSTGRES_SENTENCES = {
    "08": "cannot be reached: check the server, the network and the URL",
    "25": "is read-only: connect to a server and as a user that may write",
    "28": "refused the user or the password: check the URL",
    "3D": "does not exist on its server: create it with createdb, or check the URL",
    "42": "refused a statement: check that its user may read and write there",
    "53": "has run out of disk, memory or connections on its server: free some and run again",
    "55": "is locked by another program: wait for it to finish, or end it, and run again",
    "57": "has lost its server: check that it is running and run again",
}


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn whatever the database ``where`` raises into a :class:`StoreError` that names it and says what to do."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise StoreError(sentence(where, error)) from error
    except DecodeError as error:
        said = plain_line(str(error))
        raise StoreError(
            f"the database {where} holds a value that Headroom did not write ({said}): run headroom db check on it"
        ) from error
    except OSError as error:
        raise StoreError(f"the database {where} cannot be used: {error.strerror or error}; check the place") from error


def sentence(where: str, error: BaseException) -> str:
    """One line about ``error`` of the database ``where``."""
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlite_errorname", None) or ""
    state = getattr(cause, "sqlstate", None) or ""
    known = next((text for name, text in _SQLITE_SENTENCES.items() if code.startswith(name)), None)
    known = known or _POSTGRES_SENTENCES.get(state[:2])
    said = plain_line(str(cause), 160)
    if known is None:
        # A connection that was never made has no code of its own.
        is_cut = not code and not state and isinstance(error, OperationalError)
        known = _POSTGRES_SENTENCES["08"] if is_cut else "failed: run headroom db check on it"
    return f"the database {where} {known} ({said})"


def is_busy(error: SQLAlchemyError | sqlite3.Error) -> bool:
    """Whether another connection holds what this one asked for, so that asking again may succeed."""
    cause = getattr(error, "orig", None) or error
    return (getattr(cause, "sqlite_errorname", None) or "").startswith("SQLITE_BUSY")
