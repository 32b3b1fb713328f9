"""Databases that are read for long, as they are at the moment: a file that was replaced is opened anew."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Self

from headroom.store.default import places_read
from headroom.store.place import Place
from headroom.store.several import Stores


class CurrentStores:
    """What :func:`headroom.store.default.open_for_reading` opens, for as long as it is the same files.

    A context manager that several threads may ask.
    """

    def __init__(self, where: str | os.PathLike[str] | None = None) -> None:
        """Open them.

        Raises:
            StoreError: one of them cannot be read, or one that was named is not there.
        """
        self._where, self._lock = where, threading.Lock()
        places = places_read(where)
        self._stores, self._seen = Stores.open(places), _looks(places)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stores.close()

    def now(self) -> Stores:
        """The databases that are there.

        Raises:
            StoreError: one of them was removed, or cannot be read any more.
        """
        with self._lock:
            places = places_read(self._where)
            looks = _looks(places)
            if looks != self._seen:
                opened = Stores.open(places)
                self._stores.close()  # whoever still reads the old ones finishes doing so
                self._stores, self._seen = opened, looks
            return self._stores


def _looks(places: list[Place]) -> list[tuple[str, tuple[int, int] | None]]:
    return [(place.name, place.inode) for place in places]
