"""A CSV table in, the answered table out, a part at a time: memory does not grow with the answer.

Large tables are divided among child processes: each is given text, parses, predicts and writes it, and hands text back.
They are this interpreter with one module of ours (no fork, and nothing of the caller's program is run again), they end
with their input, and a part whose child fails is answered here. The answer is the same to the last byte.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO

from headroom.gpu.spec import GpuSpec
from headroom.predict.calibration import Calibration
from headroom.predict.own.choice import calibration_of
from headroom.predict.table_answer import answer_rows
from headroom.predict.table_input import parse_rows
from headroom.predict.table_read import open_cells, read_text
from headroom.predict.table_text import check_new, header_line, row_lines

#: Rows that are read, predicted and written together: few enough to stay in a CPU's cache.
ROWS_AT_ONCE = 8_000

#: Characters of one part that a child is given: some ten thousand rows.
_PART_CHARACTERS = 400_000

#: A smaller table is answered before children would have started.
_LEAST_CHARACTERS = 4_000_000

#: More children than this hardly help: the parent has to hand out and write.
_MOST_CHILDREN = 8

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


@dataclass(frozen=True, slots=True)
class TableSummary:
    """What became of a table: its rows, and how many of them could not be predicted."""

    rows: int
    bad_rows: int


@dataclass
class TableStream:
    """A table on its way through; ``summary`` counts what :meth:`chunks` has given so far."""

    task: Task
    _text: str
    _source: str
    children: int
    summary: TableSummary = field(default=TableSummary(0, 0))

    def chunks(self) -> Iterator[str]:
        """The answer as CSV text: every given column in its place, then the new ones."""
        yield header_line(self.task.header)
        for part in self._by_children() if self.children > 1 else self._here():
            self.summary = TableSummary(self.summary.rows + part.rows, self.summary.bad_rows + part.bad_rows)
            yield part.text

    def _here(self) -> Iterator[Answered]:
        _, rows = open_cells(self._text, self._source)
        while some := list(islice(rows, ROWS_AT_ONCE)):
            yield self.task.answer(some)

    def _by_children(self) -> Iterator[Answered]:
        with ExitStack() as stack:
            free: queue.SimpleQueue[Child] = queue.SimpleQueue()
            for _ in range(self.children):
                free.put(stack.enter_context(Child(self.task)))
            pool = stack.enter_context(ThreadPoolExecutor(self.children))
            waiting: deque[Future[Answered]] = deque()
            for part in _parts(self._text):
                waiting.append(pool.submit(_ask_free, free, part))
                if len(waiting) > 2 * self.children:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def open_stream(source: Path, gpu: GpuSpec, *, l2_state: str = "warm", children: int | None = None) -> TableStream:
    """A table that is about to be answered; ``children`` is how many processes work on it, by default what helps.

    Raises:
        ModelError: the table cannot be read, names a column twice, lacks ``op``, or has a column that the answer would
            overwrite.
    """
    text = read_text(source)
    header, _ = open_cells(text, str(source))
    check_new(header)
    task = Task(tuple(header), gpu, l2_state, calibration_of(gpu))
    return TableStream(task, text, str(source), _children(text) if children is None else children)


def _children(text: str) -> int:
    """How many processes a table is worth. One whose lines may not be rows is read here."""
    if len(text) < _LEAST_CHARACTERS or not sys.executable:
        return 1
    if '"' in text or text.count("\r") != text.count("\r\n"):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(_MOST_CHILDREN, cores)


def _parts(text: str) -> Iterator[str]:
    """The rows' lines, a part at a time. The header is the first line that is not empty."""
    start = len(text) - len(text.lstrip("\r\n"))
    start = _line_end(text, start)
    while start < len(text):
        end = _line_end(text, min(start + _PART_CHARACTERS, len(text)))
        yield text[start:end]
        start = end


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end + 1


def _ask_free(free: queue.SimpleQueue[Child], text: str) -> Answered:
    child = free.get()
    try:
        return child.ask(text)
    finally:
        free.put(child)


class Child:
    """A process that answers parts of one table."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Child:
        command = [sys.executable, "-m", "headroom.predict.table_stream"]
        with suppress(OSError):  # without the process its parts are answered here
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            _send(_pipe(self._process.stdin), pickle.dumps(self._task))
        return self

    def ask(self, text: str) -> Answered:
        """The part answered by the process, or here where that fails."""
        try:
            if self._process is None:
                raise EOFError
            _send(_pipe(self._process.stdin), text.encode())
            return _received(_pipe(self._process.stdout))
        except (OSError, EOFError):
            return self._task.answer_text(text)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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


def _serve() -> None:
    """What a child does: take the task, answer parts until its input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption means
    source, out = sys.stdin.buffer, sys.stdout.buffer
    size, _, _ = _LENGTHS.unpack(_exactly(source, _LENGTHS.size))
    task: Task = pickle.loads(_exactly(source, size))  # noqa: S301 - from our own parent, through its pipe
    with suppress(EOFError, BrokenPipeError):
        while True:
            part = task.answer_text(_received(source).text)
            _send(out, part.text.encode(), part.rows, part.bad_rows)


if __name__ == "__main__":
    _serve()
