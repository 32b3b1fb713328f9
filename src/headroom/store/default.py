"""The user's own database, and the measurements that come with the package."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import sys
import tempfile
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from headroom.store.faults import explained
from headroom.store.place import Place, find_place

if TYPE_CHECKING:
    from headroom.store.several import Stores

#: Names another database than the user's own.
VARIABLE = "HEADROOM_DB"

_NAME = "measurements.sqlite"

#: Why a link is not made: the file is there by now, or the file system has no links.
_NOT_LINKED = frozenset({errno.EEXIST, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK})


def default_file() -> Path:
    """Where the user's own database is, whether or not it is there yet."""
    home = Path.home()
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        folder = home / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return folder / "headroom" / _NAME


def shipped_files() -> tuple[Path, ...]:
    """The databases in the package."""
    return tuple(sorted((Path(__file__).parent / "shipped").glob("*.sqlite")))


def open_for_reading(where: str | os.PathLike[str] | None = None) -> Stores:
    """What is known without measuring: the database that the user means, if it is there, and the shipped ones.

    Nothing is created or written. ``where`` is as in :meth:`headroom.store.store.Store.open`; a database that was
    named is read alone and must be there.

    Raises:
        StoreError: the user's database cannot be read.
    """
    from headroom.store.several import Stores

    if where is not None:
        return Stores.open([find_place(where)])
    own = find_place(os.environ.get(VARIABLE) or default_file())
    mine = [own] if own.file is None or own.file.exists() else []
    return Stores.open([*mine, *(Place(file, frozen=True) for file in shipped_files())])


def own_or_shipped(where: str | os.PathLike[str] | None = None) -> Place:
    """The one database to read: ``where``, or the user's own, or the one in the package where that is not there yet."""
    if where is not None:
        return find_place(where)
    own = find_place(os.environ.get(VARIABLE) or default_file())
    shipped = shipped_files()
    is_missing = own.file is not None and not own.file.exists() and not os.environ.get(VARIABLE)
    return Place(shipped[0], frozen=True) if is_missing and shipped else own


def seeded_file(*, make: bool) -> Path:
    """The user's own database; where it is not there yet it begins as a copy of the shipped ones, if ``make``."""
    file = default_file()
    if make and not file.exists():
        for shipped in shipped_files()[:1]:
            _seed(file, shipped)
    return file


def _seed(file: Path, shipped: Path) -> None:
    """Make ``file`` a copy of ``shipped`` with an id of its own, whole or not at all, unless it appears meanwhile."""
    with explained(str(file)):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as folder:
            copy = Path(folder) / file.name
            shutil.copyfile(shipped, copy)
            with closing(sqlite3.connect(copy)) as connection, connection:
                connection.execute("UPDATE meta SET value = ? WHERE name = 'database_id'", (uuid.uuid4().hex,))
            try:
                # Unlike a rename, a link never takes the place of what another program has made by now.
                os.link(copy, file)
            except OSError as error:
                # Where there are no links the database begins empty; the shipped ones are read beside it anyway.
                if error.errno not in _NOT_LINKED:
                    raise
