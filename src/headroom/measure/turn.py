"""Whose turn it is on a GPU: several processes may compile at once, but only one at a time may run anything.

Compiling takes most of a layer's time and no GPU; libraries do it under Python's global lock, so that threads would not
help. The turn is an advisory lock on a file, which the system releases with the process that held it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

try:
    import fcntl
except ImportError:  # no such locks on Windows, where one worker measures alone
    fcntl = None  # type: ignore[assignment]

#: Whether turns can be taken here at all.
CAN_TAKE_TURNS = fcntl is not None


class Turn:
    """The turn on one GPU: ``with turn:`` waits for it. Not to be nested."""

    def __init__(self, gpu_uuid: str, folder: str | os.PathLike[str] | None = None) -> None:
        # A file per user: nobody may open another's in a shared folder, nor be led elsewhere by a link there.
        user = os.getuid() if hasattr(os, "getuid") else 0
        path = Path(folder or tempfile.gettempdir()) / f"headroom-{user}-{gpu_uuid}.turn"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)

    def __enter__(self) -> Self:
        if fcntl is not None:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if fcntl is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
