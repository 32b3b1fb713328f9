"""A CSV table in, the answered table out, a part at a time: memory does not grow with the answer.

Large tables are divided among child processes (:mod:`.table_child`). The answer is the same to the last byte.
"""

from __future__ import annotations

import os
import queue
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from headroom.gpu.spec import GpuSpec
from headroom.predict.own.choice import calibration_of
from headroom.predict.table_child import Answered, Child, Task
from headroom.predict.table_read import open_cells, read_text
from headroom.predict.table_text import check_new, header_line

#: Rows that are read, predicted and written together: few enough to stay in a CPU's cache.
ROWS_AT_ONCE = 8_000

#: Characters of one part that a child is given: some ten thousand rows.
_PART_CHARACTERS = 400_000

#: A smaller table is answered before children would have started.
_LEAST_CHARACTERS = 4_000_000

#: More children than this hardly help: the parent has to hand out and write.
_MOST_CHILDREN = 8


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
        with ThreadPoolExecutor(self.children) as pool, ExitStack() as stack:
            free: queue.SimpleQueue[Child] = queue.SimpleQueue()
            for _ in range(self.children):
                free.put(stack.enter_context(Child(self.task)))
            # Whoever stops reading waits for no part: none is begun any more, then the children are ended.
            stack.callback(pool.shutdown, wait=False, cancel_futures=True)
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
