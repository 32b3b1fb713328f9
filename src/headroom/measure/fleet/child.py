"""A process of a fleet as whoever started it sees it, and the workers of one machine, replaced when they die."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from headroom.errors import GpuError
from headroom.libraries import library_folders
from headroom.text import plain_line

#: ``-I`` keeps the current folder out, where any file could pass for a library.
_START = "import sys; sys.path[:0] = sys.argv[3:]; from headroom.measure.fleet.process import main; main()"

#: Seconds for a process to be ready: it imports dask, and asks the driver.
START_S = 60.0

#: How long one that was killed is waited for, in seconds.
_BURIAL_S = 1.0

#: A worker that dies this often in a row without a minute's work is not started any more.
MOST_DEATHS = 5
_GOOD_RUN_S = 60.0


class Child:
    """A scheduler or a worker in a session of its own: Ctrl-C reaches only us, and we end all of it.

    On Linux it dies with the thread that started it.
    """

    def __init__(self, **asked: Any) -> None:
        self.asked = asked
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
        self._said: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _START, str(os.getpid()), json.dumps(asked), *library_folders()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_gone(self) -> bool:
        return self._process.poll() is not None

    def ready(self, within_s: float = START_S) -> dict[str, Any]:
        """What it says of itself.

        Raises:
            GpuError: it ended, or says nothing; the sentence has its reason.
        """
        what = self.asked["role"]
        try:
            said = self._said.get(timeout=within_s)
        except queue.Empty:
            there = f"a scheduler is at {self.asked['scheduler']}, and " if what == "worker" else ""
            raise GpuError(
                f"the fleet's {what} was not ready within {within_s:g} s; see whether {there}this machine is not "
                "overloaded"
            ) from None
        if said is None:
            raise GpuError(f"the fleet's {what} cannot start: {self._last_words()}")
        if "error" in said:
            raise GpuError(f"the fleet's {what} cannot start: {said['error']}")
        return said

    def signal_end(self) -> None:
        """End it and what it started, without waiting: what measures ends when its parent does."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def end(self) -> None:
        self.signal_end()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_BURIAL_S)
        self._complaints.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with suppress(OSError, ValueError):
            for line in self._process.stdout:
                self._said.put(json.loads(line))
        self._said.put(None)

    def _last_words(self) -> str:
        self._complaints.seek(0)
        lines = self._complaints.read()[-4096:].decode(errors="replace").strip().splitlines()
        return plain_line(lines[-1]) if lines else "it said nothing"


class Hands:
    """The workers of this machine's ``gpus``, started anew when they die."""

    def __init__(
        self, scheduler: str, gpus: Sequence[int], *, seats: int | None = None, tls: Path | None = None
    ) -> None:
        # Dask keeps locks in a folder, which a worker that is killed would leave behind.
        self._folder = tempfile.TemporaryDirectory(prefix="headroom-fleet-", ignore_cleanup_errors=True)
        common = {"role": "worker", "scheduler": scheduler, "seats": seats, "gpus": len(gpus)}
        files = {"tls": None if tls is None else str(tls), "folder": self._folder.name}
        self._asked = [{**common, **files, "gpu": gpu} for gpu in gpus]
        self._children: list[Child | None] = [None for _ in self._asked]
        self._deaths = [0 for _ in self._asked]

    @property
    def pids(self) -> list[int]:
        """Of the workers that live."""
        return [child.pid for child in self._children if child is not None and not child.is_gone]

    def start(self, *, within_s: float = START_S) -> list[dict[str, Any]]:
        """Start them all at once; what each says of itself.

        Raises:
            GpuError: one of them cannot use its GPU.
        """
        self._children = [Child(**asked) for asked in self._asked]
        deadline = time.monotonic() + within_s
        return [child.ready(max(0.0, deadline - time.monotonic())) for child in self._children if child is not None]

    def tend(self) -> None:
        """Start those anew that have died; to be called from the thread that started them, again and again.

        Raises:
            GpuError: one dies again and again.
        """
        for place, child in enumerate(self._children):
            if child is None or not child.is_gone:
                continue
            lived_s = time.monotonic() - child.started
            self._deaths[place] = 1 if lived_s > _GOOD_RUN_S else self._deaths[place] + 1
            child.end()
            if self._deaths[place] > MOST_DEATHS:
                raise GpuError(
                    f"the fleet's worker on GPU {child.asked['gpu']} dies again and again; see headroom selftest"
                )
            self._children[place] = Child(**child.asked)

    def end(self) -> None:
        """End them all at once."""
        children = [child for child in self._children if child is not None]
        for child in children:
            child.signal_end()
        for child in children:
            child.end()
        self._folder.cleanup()
