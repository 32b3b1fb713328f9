"""Fill the database that ships with the package, on an H200, in slices of a few minutes.

    python benchmarks/h200_database.py plan PLAN.json.gz [DATA_FOLDER]     what to measure (no GPU needed)
    python benchmarks/h200_database.py fill PLAN.json.gz DATABASE SECONDS  measure it, one worker per GPU here
    python benchmarks/h200_database.py ship DATABASE [EARLIER]             write the package's own, and its provenance

``fill`` goes on where it stopped and skips what the database holds. The slices stand in order of value, and inside a
slice the layers do: every model at batch 1 in bf16; the named models at batch 32 in bf16, then in tf32 and strict fp32
at batches 32 and 1; the CIFAR networks at batch 128; what the bounds of framework runs lack. ``ship`` keeps the
fastest implementation of every layer, and what PyTorch chooses itself; where a database shipped EARLIER has a layer in
a time that is shorter by 10 %, that row stays beside them with its own GPU and day: it was reached.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path

import headroom as hr
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.measure.crew import MOST_WORKERS, Crew
from headroom.measure.plan import Planned, most_valuable_first, plan_tasks
from headroom.measure.sweep import Progress, measure_tasks
from headroom.measure.task import Task
from headroom.store.export import select, to_json
from headroom.store.imported import JsonSource
from headroom.store.merge import merge
from headroom.store.record import ChainRecord
from headroom.store.rows import NetworkTiming, Status, Timing
from headroom.store.store import Store
from headroom.store.vacuum import vacuum
from headroom.store.write import put_record
from network_bounds import FILE as RUNS
from network_bounds import read as read_runs
from record import DATA, RESULTS, ROOT, write_result

#: Models of the slices that are not for all.
NAMED = (
    "light_bvlc_alexnet", "light_densenet121", "light_inception_v1", "light_inception_v2", "light_resnet50",
    "light_shufflenet", "light_squeezenet", "light_vgg19", "light_zfnet512", "resnet50", "resnet152", "vgg16",
    "mobilenet_v2", "efficientnet_b0", "convnext_tiny_dynamo", "vit_b_16_dynamo", "bert_base",
)  # fmt: skip

#: Whose framework runs are held against their bounds too (``network_bounds.py``).
BOUNDED = ("alexnet", "googlenet", "mobilenet_v3_large", "resnet18", "shufflenet_v2_x1_0")

CIFAR_BATCH = 128

#: Implementations that are kept of every layer in either state of the cache, beside what PyTorch runs itself.
KEPT = 1

#: A layer whose fastest time is more than this times as long as the one shipped earlier keeps the earlier row too. Most
#: times come out within 1-3 % of the earlier ones; of those that do not, as many come out longer as shorter.
SLOWER = 1.1


@dataclass(frozen=True)
class Slice:
    """A part of the plan. ``models`` of ``None`` means all, at the batch that their files hold."""

    models: Sequence[str] | None
    batch: int | None
    dtype: str


SLICES = (
    Slice(None, None, "bf16"),
    Slice(NAMED, 32, "bf16"),
    Slice(NAMED, 1, "tf32"),
    Slice(NAMED, 1, "fp32"),
    Slice(("cifar",), CIFAR_BATCH, "bf16"),
    Slice(NAMED, 32, "tf32"),
    Slice(NAMED, 32, "fp32"),
    Slice(("cifar",), CIFAR_BATCH, "tf32"),
    Slice(("cifar",), CIFAR_BATCH, "fp32"),
    Slice(BOUNDED, 32, "bf16"),
    Slice(BOUNDED, 1, "tf32"),
    Slice(BOUNDED, 32, "tf32"),
)


def plan(path: Path, data: Path) -> None:
    """Read every model once and write the tasks, the most valuable first within each slice."""
    rows = []
    seen: set[tuple[str, DataType]] = set()
    for part in SLICES:
        planned = most_valuable_first(
            item for graph in _graphs(part, data) for item in plan_tasks(graph, DataType(part.dtype))
        )
        fresh = [item for item in planned if (item.task.chain.digest, item.task.dtype) not in seen]
        seen.update((item.task.chain.digest, item.task.dtype) for item in fresh)
        rows += [{"task": item.task.to_json(), "count": item.count, "value_us": item.value_us} for item in fresh]
        print(f"{part.dtype} batch {part.batch or 'own'}: {len(fresh)} layers and chains", flush=True)
    path.write_bytes(gzip.compress(json.dumps(rows, separators=(",", ":")).encode(), mtime=0))


def _graphs(part: Slice, data: Path) -> Iterator[Graph]:
    if part.models == ("cifar",):
        yield from (graph for _, graph in cifar_graphs(data))
        return
    paths = sorted((data / "models").glob("*.onnx"))
    for path in paths:
        if part.models is None or path.stem in part.models:
            try:
                yield hr.load(path, batch=part.batch)
            except hr.ModelError as error:
                print(f"left out: {error}", flush=True)


def cifar_graphs(data: Path) -> Iterator[tuple[str, Graph]]:
    """The networks of ``hrank_widths.json`` with their names."""
    import torch

    from cifar_networks import IMAGE, cifar_networks

    for name, make in cifar_networks(data).items():
        yield name, hr.load(make().eval(), torch.randn(CIFAR_BATCH, *IMAGE))


def fill(plan_path: Path, database: Path, seconds: float) -> None:
    """Measure on every GPU that CUDA shows: a process each, which takes every n-th task; all write one database."""
    import torch

    gpus = torch.cuda.device_count()  # asks the driver; makes no context
    with Store.open(database):
        pass  # created once, before many want to
    shards = [
        subprocess.Popen([sys.executable, __file__, "shard", plan_path, database, str(seconds), str(gpu), str(gpus)])
        for gpu in range(gpus)
    ]
    codes = [shard.wait() for shard in shards]
    with Store.open(database, read_only=True) as store:
        for summary in store.systems():
            print(f"{summary.system.title}: {summary.layers} layers, {summary.rows} rows")
    if any(codes):
        raise SystemExit(f"shards ended with {codes}")


def shard(plan_path: Path, database: Path, seconds: float, gpu: int, gpus: int) -> None:
    """One GPU's share of the plan."""
    begin = time.monotonic()
    workers = max(1, min(MOST_WORKERS, (os.cpu_count() or 1) // gpus * 3 // 4))
    rows = json.loads(gzip.decompress(plan_path.read_bytes()))[gpu::gpus]
    planned = [Planned(Task.from_json(row["task"]), row["count"], row["value_us"]) for row in rows]

    def show(progress: Progress) -> None:
        if progress.done % 50 == 0:
            print(f"GPU {gpu}: {progress.done} of {progress.total}, {progress.left_s:.0f} s left", flush=True)

    with Store.open(database) as store, Crew(gpu, size=workers) as crew:
        budget_s = seconds - (time.monotonic() - begin)
        report = measure_tasks(planned, store, crew, budget_s=budget_s, on_progress=show)
    print(
        f"GPU {gpu}: {report.measured} measured, {report.skipped} known, {report.failed} without a time, {report.left} "
        f"left, {report.wall_s:.0f} s, parent {report.parent_share:.1%}, workers replaced {report.replaced_workers}, "
        f"rows {dict(report.statuses)}, winners {dict(report.winners)}",
        flush=True,
    )


def ship(database: Path, earlier: Path | None = None) -> None:
    """Write the package's database, and beside the results what is in it and where it comes from."""
    target = ROOT / "src" / "headroom" / "store" / "shipped" / "h200.sqlite"
    target.parent.mkdir(exist_ok=True)
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder, Store.open(database, read_only=True) as measured:
        exported = Path(folder) / "rows.json"
        exported.write_text("".join(to_json(measured, select(measured, gpu="NVIDIA H200", best=KEPT))))
        with Store.open(target) as shipped:
            merge(shipped, JsonSource(exported))
            if earlier is not None:
                print(f"{_keep_reached(shipped, earlier)} earlier rows kept: they were faster", flush=True)
            _record_networks(shipped)
            vacuum(shipped)
    with closing(sqlite3.connect(target)) as connection:
        # A file without a log beside it can be read where nothing may be written.
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")
    write_result("h200_database", {"method": __doc__, "bytes": target.stat().st_size, "systems": _contents(target)})
    print(f"{target.name}: {target.stat().st_size / 1e6:.1f} MB")


def _keep_reached(shipped: Store, earlier: Path) -> int:
    """Write the rows of ``earlier`` whose time no newer row of their layer comes near; their number."""
    kept = 0
    with Store.open(earlier, read_only=True) as store:
        for record in (record for summary in store.systems() for record in store.records(summary.system)):
            timed = sorted((row for row in record.timings if row.status is Status.OK), key=_median_us, reverse=True)
            fastest = {timing.l2: timing for timing in timed}  # the last of a state is its fastest
            reached = tuple(timing for timing in fastest.values() if not _is_near(shipped, record, timing))
            if reached:
                with shipped.database.writing() as connection:
                    put_record(connection, replace(record, visits=(), timings=reached, counters=()))
            kept += len(reached)
    return kept


def _is_near(shipped: Store, record: ChainRecord, timing: Timing) -> bool:
    """Whether ``shipped`` has the layer of ``record`` in about the time of ``timing`` or less."""
    best = shipped.best(record.system, record.dtype, timing.l2, [record.chain.digest]).get(record.chain.digest)
    return best is not None and _median_us(best) <= SLOWER * _median_us(timing)


def _median_us(timing: Timing) -> float:
    return timing.median_us or math.inf


def _record_networks(store: Store) -> None:
    """Whole networks as frameworks ran them on the same systems (``network_bounds.py``)."""
    names = {field.name for field in fields(NetworkTiming)}
    for row in read_runs(RESULTS / RUNS):
        known = {name: value for name, value in row.items() if name in names}
        known |= {"dtype": DataType(row["dtype"]), "status": Status(row["status"])}
        store.record_network(store.find_system(row["system"]), NetworkTiming(**known))


def _contents(target: Path) -> list[dict[str, object]]:
    """Per system and data type: layers, rows, GPUs and days."""
    with Store.open(target, read_only=True) as store:
        rows = store.to_pandas()
    found = []
    for (system, dtype), group in rows.groupby(["system", "dtype"]):
        found.append(
            {
                "system": system,
                "dtype": dtype,
                "chains": int(group["chain"].nunique()),
                "rows": len(group),
                "gpus": sorted(group["gpu_uuid"].unique()),
                "first": min(group["measured_at"]),
                "last": max(group["measured_at"]),
            }
        )
    return found


def main() -> None:
    match sys.argv[1:]:
        case ["plan", path]:
            plan(Path(path), DATA)
        case ["plan", path, data]:
            plan(Path(path), Path(data))
        case ["fill", path, database, seconds]:
            fill(Path(path), Path(database), float(seconds))
        case ["shard", path, database, seconds, gpu, gpus]:
            shard(Path(path), Path(database), float(seconds), int(gpu), int(gpus))
        case ["ship", database]:
            ship(Path(database))
        case ["ship", database, earlier]:
            ship(Path(database), Path(earlier))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
