"""Processes that write and read one database at once. Forked, so that a hundred of them start in a second."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

_FORK = multiprocessing.get_context("fork")

Say = Callable[[object], None]


class Member:
    """A process that runs ``work(say)``; what it said is kept even if it is killed."""

    def __init__(self, work: Callable[[Say], None]) -> None:
        self._ear, mouth = _FORK.Pipe(duplex=False)
        self._process: BaseProcess = _FORK.Process(target=_live, args=(work, mouth), daemon=True)
        self._process.start()
        mouth.close()

    def has_said(self, seconds: float) -> bool:
        """Whether it says, or has said, something within ``seconds``; ending without a word counts."""
        return self._ear.poll(seconds)

    def kill(self) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)

    def join(self, seconds: float = 60.0) -> list[object]:
        """Everything it said, once it has ended."""
        said: list[object] = []
        deadline = time.monotonic() + seconds
        while self._ear.poll(max(0.0, deadline - time.monotonic())):
            try:
                said.append(self._ear.recv())
            except EOFError:
                break
        self._process.join(max(0.0, deadline - time.monotonic()))
        assert not self._process.is_alive(), "a member of the crowd hangs"
        return said


def _live(work: Callable[[Say], None], mouth: Connection) -> None:
    try:
        work(mouth.send)
    except Exception as error:  # noqa: BLE001 - the parent judges it
        mouth.send(f"{type(error).__name__}: {error}")
