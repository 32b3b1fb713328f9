"""How long 32 writers of one SQLite file wait for each other on a busy machine, with fair turns and without.

    python benchmarks/writers.py [RUNS]

Writes ``benchmarks/results/writers.json`` and ``docs/writers.md``. The crowd is that of ``tests/store/test_crowd.py``:
32 processes that write eight layers each and 8 that read meanwhile, all opening a database that is not there yet.
Beside them run processes that do nothing but keep a core busy. Without turns, writers ask at random pauses until SQLite
gives them its lock: what they do wherever the system has no lock to queue at.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from record import ROOT, write_result

sys.path.insert(0, str(ROOT / "tests"))

from headroom.store import turns
from headroom.store.connect import LOCK_WAIT_S
from headroom.store.store import Store
from store.crowd import Member, Say
from store.factory import make_sweep
from store.test_crowd import LAYERS, READERS, WRITERS, _reader

RUNS = 20
BUSY = (0, 4)
LIMIT_S = 5.0


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    rows = [measure(busy, fair, runs) for busy in BUSY for fair in (False, True)]
    write_result("writers", {"limit_s": LIMIT_S, "writers": WRITERS, "readers": READERS, "rows": rows})
    (ROOT / "docs" / "writers.md").write_text(page(rows, runs))


def measure(busy: int, fair: bool, runs: int) -> dict[str, Any]:
    with keep_busy(busy), patch.object(turns, "fcntl", turns.fcntl if fair else None):
        crowds = [crowd() for _ in range(runs)]
    longest = [max(wait for wait, _ in writes) for writes in crowds]
    given_up = sum(wait >= LOCK_WAIT_S for writes in crowds for wait, _ in writes)
    row = {
        "busy_processes": busy,
        "fair_turns": fair,
        "runs": runs,
        "median_wait_s": statistics.median(wait for writes in crowds for wait, _ in writes),
        "median_longest_wait_s": statistics.median(longest),
        "longest_wait_s": max(longest),
        "runs_over_limit": sum(wait >= LIMIT_S for wait in longest),
        "given_up": given_up,
        "longest_commit_s": max(commit for writes in crowds for _, commit in writes),
    }
    print(row, flush=True)
    return row


def crowd() -> list[tuple[float, float]]:
    """Seconds that each layer took to write, and of these the commit, which waits for the disk."""
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder) / "measurements.sqlite")
        writers = [Member(writer(place, each * LAYERS)) for each in range(WRITERS)]
        readers = [Member(_reader(place)) for _ in range(READERS)]
        said = [one for member in writers for one in member.join(300)]
        wrong = [one for member in readers for one in member.join(300) if not isinstance(one, float)]
    wrong += [one for one in said if not isinstance(one, tuple) and "is locked" not in str(one)]
    if wrong:
        raise SystemExit(f"a member of the crowd failed: {wrong[0]}")
    return [one if isinstance(one, tuple) else (LOCK_WAIT_S, 0.0) for one in said]


def writer(place: str, first: int) -> Callable[[Say], None]:
    """One that says so and ends when it has waited in vain for as long as a writer waits."""

    def work(say: Say) -> None:
        with Store.open(place) as store, timed_commits(store) as commits:
            for number in range(first, first + LAYERS):
                start = time.perf_counter()
                store.record(make_sweep(number))
                say((time.perf_counter() - start, commits[-1]))

    return work


@contextmanager
def timed_commits(store: Store) -> Iterator[list[float]]:
    taken: list[float] = []
    dialect = store.database._engine.dialect
    commit = dialect.do_commit

    def timed(connection: Any) -> None:
        start = time.perf_counter()
        commit(connection)
        taken.append(time.perf_counter() - start)

    with patch.object(dialect, "do_commit", timed):
        yield taken


@contextmanager
def keep_busy(count: int) -> Iterator[None]:
    processes = [multiprocessing.get_context("fork").Process(target=spin, daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def spin() -> None:
    while True:
        pass


def page(rows: list[dict[str, Any]], runs: int) -> str:
    lines = [
        "# How long writers of one database wait",
        "",
        f"{WRITERS} processes write {LAYERS} layers each into one SQLite file that {READERS} others read, on two cores",
        f"that other processes keep busy; {runs} crowds per row. Written by `benchmarks/writers.py`. Promised: no wait",
        f"of {LIMIT_S:.0f} s. *Without turns* is how writers wait where the system has no lock to queue at.",
        "",
        "| busy processes | turns | median wait s | longest of a crowd s, median | longest of all s "
        f"| crowds over {LIMIT_S:.0f} s | writers that gave up after {LOCK_WAIT_S:.0f} s | longest commit s |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['busy_processes']} | {'fair' if row['fair_turns'] else 'without'} | {row['median_wait_s']:.2f} "
        f"| {row['median_longest_wait_s']:.1f} | {row['longest_wait_s']:.1f} | {row['runs_over_limit']} "
        f"| {row['given_up']} | {row['longest_commit_s']:.2f} |"
        for row in rows
    ]
    lines += [
        "",
        "With fair turns each writer waits for about one transaction of every other: the usual wait grows and the",
        "longest shrinks. What is left is the processor's time, not the disk's: the longest waits are those of the",
        "first round, when 40 processes that have just started share the cores with whatever else runs there.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
