"""Reading an ONNX file from the safe side: the parent never imports ONNX and never sees the model's bytes."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from headroom.errors import HeadroomError, ModelError
from headroom.graph.graph import Graph
from headroom.graph.onnx import limits
from headroom.graph.serial import graph_from_json
from headroom.libraries import library_folders
from headroom.text import plain_line

#: What the worker may take beyond a file's own time limit, to start and to relay the answer.
_RELAY_S = 5.0

#: Runs the worker with the parent's library folders. ``-I`` keeps the current folder out, where an ``onnx.py``
#: beside the model would be imported, and ``-m`` would not find an installation outside ``site-packages``.
_START = "import sys; sys.path += sys.argv[1:]; from headroom.graph.onnx.worker import main; main()"

_HEADER_BYTES = 200


def read_onnx(
    path: str | os.PathLike[str],
    *,
    batch: int | None = None,
    dims: Mapping[str, int] | None = None,
    time_limit_s: float = limits.TIME_LIMIT_S,
    memory_bytes: int = limits.MEMORY_BYTES,
) -> Graph:
    """The model in an ``.onnx`` file.

    The file is read by a child process that is capped in time and memory and opens no other file: weights,
    wherever they are, stay unread. ``batch`` sets the number of samples anew, ``dims`` gives symbolic
    dimensions their sizes.

    Raises:
        ModelError: the file is missing, malformed, hostile, too large, or asks for something that no layer
            can be. The sentence names the node where there is one; the notes hold the child's traceback.
    """
    with ReaderWorker(time_limit_s=time_limit_s, memory_bytes=memory_bytes) as worker:
        return worker.read(path, batch=batch, dims=dims)


class ReaderWorker:
    """A warm child process that reads one file after another; a context manager.

    Each file is read in a process of its own (see :mod:`headroom.graph.onnx.worker`), so that one that dies
    takes nothing with it, and starting Python and the ONNX library is paid once.
    """

    def __init__(
        self,
        *,
        time_limit_s: float = limits.TIME_LIMIT_S,
        memory_bytes: int = limits.MEMORY_BYTES,
        command: Sequence[str] | None = None,
    ) -> None:
        self._limits = {"time_limit_s": time_limit_s, "memory_bytes": memory_bytes}
        self._command = list(command or worker_command())
        self._process: _Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child process, and whatever it is reading."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def read(
        self,
        path: str | os.PathLike[str],
        *,
        batch: int | None = None,
        dims: Mapping[str, int] | None = None,
    ) -> Graph:
        """The model in ``path``; see :func:`read_onnx`."""
        request = {
            "path": os.path.abspath(path),  # noqa: PTH100 - resolves no links and takes any bytes
            "name": plain_line(Path(path).stem),
            "batch": batch,
            "dims": dict(dims or {}),
            **self._limits,
        }
        try:
            return _graph_of(self._ask(request), request)
        except ModelError as error:
            raise _about(path, error) from error.__cause__

    def _ask(self, request: dict[str, Any]) -> _Answer:
        """The child's answer. A worker that was interrupted, lost or is done is replaced by the next call."""
        process, self._process = self._process or _Process(self._command), None
        try:
            answer = process.ask(request, patience_s=request["time_limit_s"] + _RELAY_S)
        except BaseException:
            process.kill()
            raise
        if answer.serves_more:
            self._process = process
        else:
            process.kill()
        return answer


def worker_command() -> list[str]:
    """How to start the worker with the libraries that this process would import, the current folder's aside."""
    return [sys.executable, "-I", "-c", _START, *library_folders()]


@dataclass(frozen=True)
class _Answer:
    """How reading one file ended, what came back, and whether the worker is there for another."""

    ending: str
    content: bytes
    serves_more: bool = False


class _Process:
    """One worker process, its pipes, and the thread that waits for its answers."""

    def __init__(self, command: Sequence[str]) -> None:
        # A file, not a pipe: nobody has to drain it, and a library that floods it blocks nothing.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by kill()
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            # One thread: a process is forked for each file, and numpy's threads would not survive that.
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            # A session of its own: Ctrl-C reaches the parent, which then ends the whole group.
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def ask(self, request: dict[str, Any], patience_s: float) -> _Answer:
        """Send a request and wait for its answer, at most ``patience_s``."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it is gone; the listener knows and says so
        try:
            return self._answers.get(timeout=patience_s)
        except queue.Empty:
            return _Answer("time", b"")

    def kill(self) -> None:
        """End the worker and its children, and free what belongs to them."""
        if hasattr(os, "killpg"):
            # The group is signalled even when its leader is gone: a child may have outlived it.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()
        # The listener meets the end of the pipe now; closing files under it would be a race.
        self._listener.join(timeout=1.0)
        for pipe in (self._process.stdin, self._process.stdout, self._complaints):
            assert pipe is not None
            with suppress(OSError):  # what was not flushed has no reader any more
                pipe.close()

    def _listen(self) -> None:
        """Put every answer into the queue; the last one says that the worker is lost."""
        assert self._process.stdout is not None
        try:
            while True:
                self._answers.put(_receive(self._process.stdout))
        except (OSError, ValueError, KeyError, TypeError):
            # End of file, a pipe that was closed under us, or bytes that are no answer.
            self._answers.put(_Answer("lost", self._last_complaint()))

    def _last_complaint(self) -> bytes:
        """The end of what the worker wrote to its standard error."""
        try:
            self._complaints.seek(0, os.SEEK_END)
            self._complaints.seek(max(0, self._complaints.tell() - 4096))
            return self._complaints.read()
        except ValueError:
            return b""  # closed: the worker was ended on purpose


def _receive(pipe: IO[bytes]) -> _Answer:
    header = json.loads(pipe.readline(_HEADER_BYTES))
    length = min(header["bytes"], limits.ANSWER_BYTES)
    return _Answer(header["ending"], pipe.read(length), header["serves_more"])


def _graph_of(answer: _Answer, request: dict[str, Any]) -> Graph:
    """The graph in an answer, or the error that it reports."""
    if answer.ending == "lost" and hasattr(os, "fork"):
        complaint = plain_line(answer.content.decode(errors="replace").strip().rpartition("\n")[2])
        raise HeadroomError(f"the process that reads models ended unexpectedly: {complaint or 'it was killed'}")
    if answer.ending != "answered":
        raise ModelError(_obituary(answer.ending, request))
    try:
        content = json.loads(answer.content)
        if "error" in content:
            raise _reported(content)
        return graph_from_json(content["graph"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ModelError("the process that read it answered with something else than a graph") from error


def _reported(content: dict[str, Any]) -> ModelError:
    """The error that the child describes."""
    error = ModelError(plain_line(str(content["error"]), limits.SENTENCE_CHARACTERS))
    error.add_note(str(content.get("details", "")))
    return error


def _obituary(ending: str, request: dict[str, Any]) -> str:
    """One sentence on how the process that read the file died."""
    cause, _, number = ending.partition(" ")
    if cause == "time":
        return f"reading it was stopped after {request['time_limit_s']:g} s; the file is malformed or far too large"
    if cause == "size":
        return f"it describes more than {limits.ANSWER_BYTES // limits.MIB} MiB of layers; split the model"
    if cause == "signal":
        name = signal.Signals(int(number)).name
        return f"the ONNX library was ended by {name} while it read the file; the file is malformed"
    return "the process that read it ended without an answer; the file is malformed"


def _about(path: str | os.PathLike[str], error: ModelError) -> ModelError:
    """``error`` with the file's name in front, and its notes."""
    named = ModelError(f"cannot read {plain_line(os.fsdecode(path))}: {error}")
    for note in getattr(error, "__notes__", ()):
        named.add_note(note)
    return named
