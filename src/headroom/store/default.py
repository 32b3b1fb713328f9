"""The user's own database, and the measurements that come with the package.

The package's databases are read beside the user's own and never copied into it: those of a later release would
otherwise stand behind an old copy for ever.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from headroom.files import data_folder
from headroom.store.place import Place, find_place

if TYPE_CHECKING:
    from headroom.store.several import Stores

#: Names another database than the user's own.
VARIABLE = "HEADROOM_DB"

_NAME = "measurements.sqlite"


def default_file() -> Path:
    """Where the user's own database is, whether or not it is there yet."""
    return data_folder() / _NAME


def own_place() -> Place:
    """Where the user's measurements go unless a command names another place."""
    return find_place(os.environ.get(VARIABLE) or default_file())


def shipped_files() -> tuple[Path, ...]:
    """The databases in the package."""
    return tuple(sorted((Path(__file__).parent / "shipped").glob("*.sqlite")))


def shipped_places() -> list[Place]:
    return [Place(file, frozen=True) for file in shipped_files()]


def places_read(where: str | os.PathLike[str] | None = None) -> list[Place]:
    """The databases that answers are made of, in the order in which they count.

    Args:
        where: a database that the user named is read alone; by default the user's own, and those in the package.
            Whatever is named, here or by ``$HEADROOM_DB``, has to be there; only the usual file may not be there yet.
    """
    if where is not None:
        return [find_place(where)]
    own = own_place()
    is_there = own.file is None or own.file.exists() or bool(os.environ.get(VARIABLE))
    return [*([own] if is_there else []), *shipped_places()]


def open_for_reading(where: str | os.PathLike[str] | None = None) -> Stores:
    """What is known without measuring: the databases of :func:`places_read`. Nothing is created or written.

    Raises:
        StoreError: one of them cannot be read, or one that was named is not there.
    """
    from headroom.store.several import Stores

    return Stores.open(places_read(where))
