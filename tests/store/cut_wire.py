"""A wire to a server that can be cut in the middle of whatever goes over it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self


class CutWire:
    """Carries connections to a server's ``port`` on this machine; ``port`` of the wire is its own.

    ``sent`` counts the bytes that went to the server. Told to :meth:`cut_after` some, it drops the connection that sent
    the last of them, whose answer gets lost, and every one that sends more, until it is told to :meth:`mend`.
    """

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._cut_at: int | None = None
        self.port = int(self._listening.getsockname()[1])
        self.sent = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _drop(self._listening)

    def cut_after(self, size: int) -> None:
        """Let that many more bytes through to the server."""
        with self._lock:
            self._cut_at = self.sent + size

    def mend(self) -> None:
        with self._lock:
            self._cut_at = None

    def _accept(self) -> None:
        with suppress(OSError):  # the wire is closed
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._server)
                threading.Thread(target=self._carry, args=(client, server, self._until_cut), daemon=True).start()
                threading.Thread(target=self._carry, args=(server, client, _all), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, passing: Callable[[int], tuple[int, bool]]) -> None:
        with suppress(OSError):  # the other direction was dropped
            while data := source.recv(65536):
                size, goes_on = passing(len(data))
                target.sendall(data[:size])
                if not goes_on:
                    break
        _drop(source)
        _drop(target)

    def _until_cut(self, size: int) -> tuple[int, bool]:
        """How many of ``size`` bytes still go through, and whether anything does after them."""
        with self._lock:
            left = size + 1 if self._cut_at is None else max(0, self._cut_at - self.sent)
            self.sent += min(size, left)
            return min(size, left), size < left


def _all(size: int) -> tuple[int, bool]:
    return size, True


def _drop(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for it
    end.close()
