"""Where a database is: a SQLite file or a SQLAlchemy URL, and how an error calls it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from headroom.errors import StoreError

_POSTGRES = ("postgresql", "postgresql+psycopg", "postgres")


@dataclass(frozen=True)
class Place:
    """``file`` is set for SQLite, ``url`` for PostgreSQL. A ``frozen`` file is one that nobody writes any more."""

    file: Path | None = None
    url: URL | None = None
    frozen: bool = False

    @property
    def name(self) -> str:
        """What errors call it; a password is never shown."""
        return str(self.file) if self.url is None else self.url.render_as_string(hide_password=True)

    @property
    def inode(self) -> tuple[int, int] | None:
        """Another one where another file took this one's name; none where no file is there, or on a server."""
        try:
            found = None if self.file is None else self.file.stat()
        except OSError:
            return None
        return None if found is None else (found.st_dev, found.st_ino)


def find_place(where: str | os.PathLike[str]) -> Place:
    """The place that ``where`` names: a path, ``sqlite:///PATH`` or ``postgresql://USER@HOST/NAME``.

    Raises:
        StoreError: a URL that cannot be read, or of another database.
    """
    text = os.fspath(where)
    if "://" not in text:
        return Place(file=Path(text).expanduser())
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise StoreError("the database URL cannot be read: expected postgresql://USER@HOST/NAME or a path") from error
    if url.drivername in ("sqlite", "sqlite+pysqlite") and url.database:
        return Place(file=Path(url.database))
    if url.drivername not in _POSTGRES:
        raise StoreError(
            f"databases of {url.drivername} are not supported: give a path, sqlite:///PATH or postgresql://…"
        )
    return Place(url=url.set(drivername="postgresql+psycopg"))
