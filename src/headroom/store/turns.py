"""Whose turn it is to ask for SQLite's write lock: writers queue, and only the first of them asks.

SQLite gives its lock to whoever asks at the right moment: of thirty writers on a busy machine one may ask in vain for
half a minute. So they queue at a lock of the system, which wakes them in the order in which they came. It is held while
asking, not while writing, so that a writer who comes back finds the others before it. It lies on the database's folder:
nothing is left beside a database that somebody copies, whoever may write the database can open its folder, and the
system releases it with the process that held it. Correctness rests on SQLite's lock alone: where there is no such lock
(Windows, many network file systems), or it is not given, a writer asks without it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]

#: Longest wait for the turn, in seconds. The queue moves every few milliseconds: beyond this its first was stopped.
TURN_WAIT_S = 10.0


@contextmanager
def turn(folder: Path | None) -> Iterator[bool]:
    """Wait for the turn to ask for the write lock of a database in ``folder``; it passes on when the block ends.

    Yields:
        Whether it is ours; not so after :data:`TURN_WAIT_S`, and where there is no folder or no such lock.
    """
    file = _open(folder)
    if file is None:
        yield False
        return
    queuer = _Queuer(file)
    try:
        yield queuer.wait(TURN_WAIT_S)
    finally:
        queuer.leave()


def _open(folder: Path | None) -> int | None:
    if fcntl is None or folder is None:
        return None
    try:
        return os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


class _Queuer:
    """One who queues. Owns the open folder; closing it gives the lock back.

    The system's lock has no time-out, so a thread waits for it. One that was left waiting closes the folder itself.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._guard = threading.Lock()
        self._decided = threading.Event()
        self._has_turn = False
        self._is_waiting = False
        self._has_left = False

    def wait(self, seconds: float) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._is_waiting = True
            threading.Thread(target=self._queue, name="headroom-turn", daemon=True).start()
            self._decided.wait(seconds)
            return self._has_turn
        except OSError:  # not on this file system
            return False
        return True

    def leave(self) -> None:
        with self._guard:
            self._has_left = True
            if not self._is_waiting:
                self._close()

    def _queue(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._has_turn = True
        except OSError:
            pass
        with self._guard:
            self._is_waiting = False
            if self._has_left:
                self._close()
        self._decided.set()

    def _close(self) -> None:
        # A child forked meanwhile has the folder open too: only unlocking gives the turn back for both.
        with suppress(OSError):
            fcntl.flock(self._file, fcntl.LOCK_UN)
        os.close(self._file)
