"""Processes that answer parts of a table: each is given text, parses, predicts and writes it, and hands text back.

They are this interpreter with one module of ours (no fork, and nothing of the caller's program or of the current folder
is run), they end with their input, and a part whose child fails is answered here.
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO

from headroom.children import die_with
from headroom.gpu.spec import GpuSpec
from headroom.libraries import library_folders
from headroom.predict.calibration import Calibration
from headroom.predict.table_answer import answer_rows
from headroom.predict.table_input import parse_rows
from headroom.predict.table_read import open_cells
from headroom.predict.table_text import row_lines

#: Runs a child with the parent's library folders before its own: what it is sent is for this very Headroom. ``-I``
#: keeps the current folder out, where any file could pass for a library.
_START = (
    "import sys; sys.path[:0] = sys.argv[2:]; from headroom.predict.table_child import serve; serve(int(sys.argv[1]))"
)

_LENGTHS = struct.Struct("<QQQ")


@dataclass(frozen=True)
class Task:
    """What is the same for every part of a table."""

    header: tuple[str, ...]
    gpu: GpuSpec
    l2_state: str
    calibration: Calibration

    def answer(self, rows: Sequence[Sequence[str]]) -> Answered:
        """Some rows as text, with the answers."""
        parsed = parse_rows(self.header, rows)
        answers = answer_rows(parsed, self.gpu, self.l2_state, self.calibration)
        bad = sum(1 for error in parsed.errors if error)
        return Answered(row_lines(self.header, rows, answers, parsed.errors), len(rows), bad)

    def answer_text(self, text: str) -> Answered:
        """Lines of a table without its header."""
        _, rows = open_cells(f"{','.join(self.header)}\n{text}", "the table")
        return self.answer(list(rows))


@dataclass(frozen=True, slots=True)
class Answered:
    """A part of the answer: its text, and how many rows it has, and how many of them without a prediction."""

    text: str
    rows: int
    bad_rows: int


class Child:
    """A process that answers parts of one table, one at a time."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._process: subprocess.Popen[bytes] | None = None
        self._has_task = False
        self._is_ended = False

    def __enter__(self) -> Child:
        command = [sys.executable, "-I", "-c", _START, str(os.getpid()), *library_folders()]
        with suppress(OSError):  # without the process its parts are answered here
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches only the parent, which decides what it means
            )
        return self

    def ask(self, text: str) -> Answered:
        """The part answered by the process, or here where that fails.

        Raises:
            EOFError, OSError, ValueError: the process was ended meanwhile: nobody wants the answer any more.
        """
        try:
            return self._asked(text)
        except (EOFError, OSError, ValueError):
            if self._is_ended:
                raise
            return self._task.answer_text(text)

    def _asked(self, text: str) -> Answered:
        if self._process is None:
            raise EOFError
        pipe = _pipe(self._process.stdin)
        if not self._has_task:
            # Not before: it is more than a pipe holds, so that whoever sends it waits until the child has started.
            _send(pipe, pickle.dumps(self._task))
            self._has_task = True
        _send(pipe, text.encode())
        return _received(_pipe(self._process.stdout))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_ended = True
        process = self._process
        if process is None:
            return
        process.kill()  # it holds nothing that could be lost
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                _pipe(pipe).close()
        process.wait()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise EOFError
    return pipe


def _send(pipe: IO[bytes], content: bytes, rows: int = 0, bad_rows: int = 0) -> None:
    pipe.write(_LENGTHS.pack(len(content), rows, bad_rows) + content)
    pipe.flush()


def _received(pipe: IO[bytes]) -> Answered:
    """A part that was sent; its text never runs."""
    size, rows, bad_rows = _LENGTHS.unpack(_exactly(pipe, _LENGTHS.size))
    return Answered(_exactly(pipe, size).decode(), rows, bad_rows)


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    content = pipe.read(size)
    if len(content) != size:
        raise EOFError
    return content


def serve(parent: int) -> None:
    """What a child of process ``parent`` does: take the task, answer parts until its input ends."""
    die_with(parent)
    source, out = sys.stdin.buffer, sys.stdout.buffer
    with suppress(EOFError, BrokenPipeError):
        size, _, _ = _LENGTHS.unpack(_exactly(source, _LENGTHS.size))
        task: Task = pickle.loads(_exactly(source, size))  # noqa: S301 - from our own parent, through its pipe
        while True:
            part = task.answer_text(_received(source).text)
            _send(out, part.text.encode(), part.rows, part.bad_rows)
