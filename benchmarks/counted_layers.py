"""Layers timed and their bytes counted on this machine's GPU, a batch at a time, so that a killed run goes on.

A layer is timed with a cold and a warm L2 in every implementation that the libraries' heuristics propose; the fastest
from a cold L2 is run once under ``ncu``, which empties the caches before each kernel. Every finished layer is a line of
``NAME.jsonl`` in the output folder; a line once there is not measured again. ``--dry-run`` puts a fake GPU and a
stand-in for ``ncu`` behind the same code.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.measure.client import Worker
from headroom.measure.counters.client import count
from headroom.measure.counters.request import Subject
from headroom.measure.task import Task
from headroom.measure.visit import Budgets
from headroom.store.rows import Timing
from record import RESULTS

#: ``ncu`` and the measuring worker start once per batch, which takes longer than a dozen layers; a kill loses at most
#: one batch.
BATCH = 48

#: What one layer may take; the libraries' first proposals need a second or two.
LAYER_S = 25.0

#: Nothing new begins after this.
LIMIT_S = 480.0

SEED = 5


@dataclass(frozen=True)
class Point:
    """A layer to count: ``key`` tells it from all others of its script, ``group`` says what it is a sample of."""

    key: str
    group: str
    layer: Layer
    dtype: DataType


def arguments(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("what", choices=("measure", "page"))
    parser.add_argument("out", type=Path, help="folder of the measured rows")
    parser.add_argument("--dtype", default="bf16,fp32", help="data types, the first first")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds after which nothing new begins")
    parser.add_argument("--gpu", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true", help="a fake GPU, a few points")
    return parser.parse_args()


def run(
    asked: argparse.Namespace,
    name: str,
    points: Callable[[DataType], Iterable[Point]],
    write_page: Callable[[list[dict[str, Any]], dict[str, Any]], str],
) -> None:
    """Measure what is missing, or have the page written from what is there, as the command line asks."""
    if asked.what == "page":
        print(write_page(*kept(asked.out, name)))
        return
    every = [point for dtype in asked.dtype.split(",") for point in points(DataType(dtype))]
    if asked.dry_run:
        with rehearsal():
            left = measure(every[:2] + every[-2:], asked.out, name, asked.limit)
    else:
        left = measure(every, asked.out, name, asked.limit, asked.gpu)
    print(f"{left} layers are left; run again to go on" if left else "every layer is there")


def measure(points: Sequence[Point], out: Path, name: str, limit_s: float, gpu: int = 0) -> int:
    """Measure the points that ``out`` does not have yet; returns how many are left.

    The order is shuffled (always alike), and groups take turns: what is missing is missing evenly, and a short run
    covers every group.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.jsonl"
    done = {row["key"] for row in rows_of(path)}
    todo = [point for point in points if point.key not in done]
    todo = in_turns(todo)
    end = time.monotonic() + limit_s
    with Worker(gpu, Budgets(plan_s=10.0, layer_s=LAYER_S)) as worker:
        if todo:
            write_about(out / f"{name}.json", worker)
        while todo and time.monotonic() < end:
            batch, todo = todo[:BATCH], todo[BATCH:]
            timed = []
            for point in batch:
                if time.monotonic() >= end:
                    break
                timed.append((point, _fastest(worker.measure(_task(point)))))
            todo = [point for point in batch if point.key not in {p.key for p, _ in timed}] + todo
            worker.close()  # it holds memory, and ncu wants the GPU to itself
            _append(path, _counted(timed, gpu))
            print(f"{name}: {len(points) - len(todo)} of {len(points)}", flush=True)
    return len(todo)


def in_turns(points: Sequence[Point]) -> list[Point]:
    """The points in an order that is always alike: each group's shuffled, one of every group after the other."""
    groups: dict[str, list[Point]] = {}
    for point in points:
        groups.setdefault(point.group, []).append(point)
    for mine in groups.values():
        random.Random(SEED).shuffle(mine)
    rounds = itertools.zip_longest(*groups.values())
    return [point for turn in rounds for point in turn if point is not None]


def _task(point: Point) -> Task:
    return Task(Chain.of([point.layer]), point.dtype, plans="heuristic")


def _fastest(rows: Sequence[Timing]) -> Timing | None:
    """The implementation that is fastest from a cold L2, else from a warm one."""
    for state in ("cold", "warm"):
        good = [row for row in rows if row.l2 == state and row.status == "ok" and row.median_us]
        if good:
            return min(good, key=lambda row: row.median_us or 0.0)
    return None


def _counted(timed: Sequence[tuple[Point, Timing | None]], gpu: int) -> list[dict[str, Any]]:
    """A row per point. Where nothing could be counted at all the run ends, so that nothing is passed off as done."""
    subjects = [Subject(Chain.of([p.layer]), p.dtype, t.implementation) for p, t in timed if t is not None]
    found = count(subjects, gpu=gpu)
    if found.refused:
        raise SystemExit(f"nothing was counted: {found.refused}")
    counted = iter(found.counted)
    rows = []
    for point, timing in timed:
        row: dict[str, Any] = {"key": point.key, "group": point.group, "dtype": str(point.dtype)}
        if timing is None:
            rows.append({**row, "reason": "no implementation gave a time"})
            continue
        one = next(counted)
        row |= {"time_us": timing.median_us, "iqr_us": timing.iqr_us, "l2": timing.l2}
        row |= {"implementation": asdict(timing.implementation), "reason": one.reason}
        row["kernels"] = list(one.kernels)
        if one.counters is not None:
            row |= {name: getattr(one.counters, name) for name in COUNTS}
        rows.append(row)
    return rows


COUNTS = ("l1_bytes", "l2_bytes", "dram_bytes", "occupancy", "waves")


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The finished rows; a line that a kill cut short is none."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text("utf-8").splitlines():
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return rows


def kept(out: Path, name: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of a folder and what they were measured on, copied to the results; those of before where it has none."""
    for suffix in ("jsonl", "json"):
        if (out / f"{name}.{suffix}").exists():
            shutil.copy(out / f"{name}.{suffix}", RESULTS / f"{name}.{suffix}")
    told = RESULTS / f"{name}.json"
    return rows_of(RESULTS / f"{name}.jsonl"), json.loads(told.read_text()) if told.exists() else {}


def _append(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    cut = path.exists() and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * cut + "".join(json.dumps(row) + "\n" for row in rows))
        file.flush()
        os.fsync(file.fileno())


def write_about(path: Path, worker: Worker) -> None:
    """Date, GPU, driver and libraries behind the rows."""
    about = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "system": worker.facts().system.title}
    path.write_text(json.dumps({**about, "method": __doc__}, indent=1) + "\n")


@contextlib.contextmanager
def rehearsal() -> Iterator[None]:
    """A fake GPU, and an ``ncu`` that writes what a cold cache would move at least, in ``ncu``'s own form."""
    before = {name: os.environ.get(name) for name in ("HEADROOM_BENCH", "PATH")}
    with tempfile.TemporaryDirectory(prefix="headroom-") as folder:
        script = Path(folder) / "ncu"
        script.write_text(f"#!{sys.executable}\nimport runpy\nrunpy.run_path({str(STAND_IN)!r}, run_name='__main__')\n")
        script.chmod(0o755)
        os.environ |= {"HEADROOM_BENCH": "fake", "PATH": f"{folder}{os.pathsep}{before['PATH'] or ''}"}
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


STAND_IN = Path(__file__).with_name("ncu_stand_in.py")
