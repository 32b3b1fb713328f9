"""One worker process as its parent sees it: what it says, until when, and how it ended."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress

from headroom.libraries import library_folders
from headroom.measure import protocol
from headroom.measure.protocol import GarbageError, Message
from headroom.text import plain_line

#: Runs the worker with the parent's library folders. ``-I`` keeps the current folder out, where any file could pass for
#: a library.
_START = (
    "import sys; sys.path[:0] = sys.argv[3:]; "
    "from headroom.measure.worker import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)

#: How long a process that was killed is waited for: one that is stuck in the driver may not go at once.
BURIAL_S = 1.0


class LostError(Exception):
    """The worker says no more: it died, talks nonsense, or is silent for too long. The text says which."""


class SilentError(LostError):
    """Its time is over."""


class WorkerProcess:
    """A worker process in a session of its own, so that Ctrl-C reaches only the parent, which then ends all of it.

    Start it from a thread that lives as long as it is needed: on Linux it dies with the thread that started it.
    """

    def __init__(self, gpu: int) -> None:
        # A file, not a pipe: nobody has to drain it, and a library that floods it blocks nothing.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by kill()
        self._messages: queue.SimpleQueue[Message | LostError] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _START, str(gpu), str(os.getpid()), *library_folders()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            bufsize=0,
            # GPUs are numbered as the driver does, unless the user wants otherwise.
            env={"CUDA_DEVICE_ORDER": "PCI_BUS_ID", **os.environ},
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: Message) -> None:
        """Ask for something. That the worker is gone is seen by the next :meth:`receive`."""
        assert self._process.stdin is not None
        line = memoryview(protocol.encode(message))
        with suppress(OSError):
            while line:
                line = line[self._process.stdin.write(line) or 0 :]

    def receive(self, deadline: float) -> Message:
        """The next message.

        Raises:
            SilentError: there is none by ``deadline`` (of :func:`time.monotonic`).
            LostError: the process died, or sent something else.
        """
        try:
            message = self._messages.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise SilentError("it did not answer in time") from None
        if isinstance(message, LostError):
            self._messages.put(message)  # it stays lost
            raise message
        return message

    def end(self) -> None:
        """End the worker and the processes that it started, without waiting until they are gone."""
        if not hasattr(os, "killpg"):  # Windows
            self._process.kill()
            return
        with suppress(ProcessLookupError, PermissionError):
            # The group is signalled even where its leader is gone: a child may have outlived it.
            os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self, patience_s: float = BURIAL_S) -> None:
        """End the worker, wait for that at most ``patience_s``, and free what belongs to it."""
        deadline = time.monotonic() + patience_s
        self.end()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience_s)
        self._listener.join(max(0.0, deadline - time.monotonic()))
        for pipe in (self._process.stdin, self._process.stdout, self._complaints):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()

    def _listen(self) -> None:
        """Queue every message, and at the end the reason why there are no more."""
        assert self._process.stdout is not None
        with os.fdopen(os.dup(self._process.stdout.fileno()), "rb") as pipe:
            try:
                while line := pipe.readline(protocol.LONGEST_MESSAGE):
                    self._messages.put(protocol.decode(line))
                self._messages.put(LostError(self._obituary()))
            except GarbageError as error:
                self._messages.put(LostError(f"the process wrote something else than messages: {error}"))
            except OSError as error:
                self._messages.put(LostError(f"the pipe to the process broke: {error}"))

    def _obituary(self) -> str:
        """One sentence on how the process ended, with its own last words."""
        try:
            code = self._process.wait(BURIAL_S)
        except subprocess.TimeoutExpired:
            return "the process closed its pipe"
        cause = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        words = self._last_words()
        return f"the process {cause}: {words}" if words else f"the process {cause}"

    def _last_words(self) -> str:
        """The last line that was written to standard error."""
        try:
            self._complaints.seek(0, os.SEEK_END)
            self._complaints.seek(max(0, self._complaints.tell() - 4096))
            lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        except ValueError:
            return ""  # closed: the worker was ended on purpose
        return plain_line(lines[-1]) if lines else ""
