"""Whom the loop over implementations tells what it does: the contract between it and the process that listens."""

from __future__ import annotations

from typing import Protocol

from headroom.store.rows import Implementation, Timing


class Tell(Protocol):
    """Where the loop says what it does, as it does it."""

    def trying(self, implementation: Implementation, l2: str) -> None:
        """From now on whatever happens is this one's doing."""

    def waiting(self) -> None:
        """From now on it waits for the GPU, which another process has."""

    def running(self) -> None:
        """The waiting is over."""

    def timing(self, timing: Timing) -> None:
        """A row. One that was told earlier for the same implementation and cache state is replaced."""
