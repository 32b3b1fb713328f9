"""An order of benchmarks filled: the layers of graphs that are wanted, written, and what a user is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headroom.errors import UsageError
from headroom.gpu.sheets import load_gpu
from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.measure.plan import most_valuable_first, plan_tasks
from headroom.measure.task import Task
from headroom.measure.travel.collect import benchmarks_of
from headroom.measure.travel.export import Exported, export
from headroom.measure.travel.missing import lacking, target_system
from headroom.store.default import open_for_reading
from headroom.text import plain_line


@dataclass(frozen=True)
class Order:
    """What to export. ``gpu`` is a sheet's id or the driver's name of a GPU; ``only_missing`` leaves out what is known
    of ``system``, or of the system with that GPU that knows most, in the database at ``db``."""

    dtypes: tuple[DataType, ...]
    gpu: str | None = None
    fused: bool = True
    only_missing: bool = False
    system: str | None = None
    db: str | None = None


def fill(folder: Path, graphs: Sequence[Graph], order: Order, title: str) -> list[str]:
    """Write the benchmarks of ``graphs``, and say what was written, a line each.

    Raises:
        UsageError: the folder cannot be written, or a system was named although everything is wanted.
        StoreError: the database cannot be read, or has no such system.
    """
    if order.system is not None and not order.only_missing:
        raise UsageError("--system says whose rows count as known: it needs --only-missing")
    sheet, why = _sheet(order.gpu)
    tasks = [
        planned.task
        for planned in most_valuable_first(
            planned
            for graph in graphs
            for dtype in order.dtypes
            for planned in plan_tasks(graph, dtype, sheet, fused=order.fused)
        )
    ]
    lines = [] if why is None else [f"layers are ordered by their arithmetic: {why}"]
    if order.only_missing:
        tasks, line = _without_known(tasks, order)
        lines.append(line)
    benchmarks, without = benchmarks_of(tasks)
    if not benchmarks:
        return [*lines, "nothing is left to measure there: no folder was written"]
    exported = export(benchmarks, folder, plain_line(title, 100))
    return [*lines, *_told(exported, without)]


def _without_known(tasks: list[Task], order: Order) -> tuple[list[Task], str]:
    with open_for_reading(order.db) as stores:
        system = target_system(stores, tasks, order.gpu, order.system)
        if system is None:
            return tasks, "the database knows nothing of this GPU: every layer is exported"
        left = lacking(stores, tasks, system)
    return left, f"{len(tasks) - len(left)} of {len(tasks)} layers are known of {system.title} (system {system.id})"


def _sheet(gpu: str | None) -> tuple[GpuSpec | None, str | None]:
    """The sheet by whose theory layers are ordered, or why the name that was given has none: a GPU may do without."""
    try:
        return (load_gpu(gpu) if gpu is not None else None), None
    except UsageError as error:
        return None, str(error)


def _told(exported: Exported, without: Sequence[Task]) -> list[str]:
    lines = [f"{exported.benchmarks} benchmarks in {exported.folder}"]
    if without:
        titles = ", ".join(sorted({task.chain.title for task in without})[:6])
        lines.append(f"{len(without)} layers and chains have none: no function of cuDNN or cuBLAS runs them ({titles})")
    if not exported.has_frontend:
        lines.append(
            "the headers of cuDNN's frontend are not installed here, so that the graph API is left out: "
            "pip install 'headroom[gpu]' and export again, or build with -DFRONTEND=DIR -DGRAPH_API=ON"
        )
    where = exported.folder
    lines.append(f"build: cmake -S {where} -B {where}/build && cmake --build {where}/build --parallel")
    lines.append(f"run: {where}/build/headroom_benchmarks >rows.jsonl, then headroom db import rows.jsonl")
    return lines
