"""How much faster two and four GPUs of one host measure than one, and whether they disturb each other.

    python benchmarks/fleet_scaling.py OUT_FOLDER [--batches 1,8,32] [--dtypes bf16,tf32] [--seats N]

Needs a machine with several equal GPUs; writes ``fleet_scaling.json`` into OUT_FOLDER and prints the figures. Two
questions, every database new:

*Speed.* ResNet-50's layers and chains are measured by a local fleet of one GPU, of two, of four, and so on up to all.
The time counts from the moment at which the fleet stands until its last layer is written; what the fleet's start takes
is told beside it.

*Neighbours.* Every GPU measures everything alone, one after another; then all do at the same time, each for itself in
a fleet of its own. Each GPU's times are compared with its own times from before: alone twice on the first GPU gives
what measuring twice differs by anyway.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import headroom as hr
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.measure.driver import count_gpus
from headroom.measure.fleet.fleet import Fleet
from headroom.measure.fleet.local import local_fleet
from headroom.measure.fleet.sweep import measure_on_fleet
from headroom.store.rows import Status
from headroom.store.store import Store
from record import ROOT

#: Promised: how many times as fast as one GPU so many measure.
PROMISED_SPEED = {2: 1.9, 4: 3.6}

#: Promised of two measurements of layers that take at least that many microseconds, in percent.
LONG_US = 20.0
PROMISED_MEDIAN_PCT, PROMISED_P95_PCT = 1.0, 3.0

Times = dict[tuple[str, str], float]


class Bench:
    """Fleets that measure the same layers again and again, each into a database of its own."""

    def __init__(self, graphs: list[Graph], dtypes: list[DataType], seats: int | None, folder: Path) -> None:
        self._graphs, self._dtypes, self._seats, self._folder = graphs, dtypes, seats, folder
        self._numbers = count()

    def run(self, gpus: list[int], sharing: int) -> tuple[dict[str, Any], Times]:
        """Measure all of it on ``gpus``, as ``sharing`` GPUs at work leave them cores; what it took, and every time."""
        where = self._folder / f"{next(self._numbers)}.sqlite"
        begin = time.monotonic()
        with local_fleet(gpus, seats=self._seats or seats_of(sharing)) as address, Fleet(address) as fleet:
            started_s = time.monotonic() - begin
            (sweep,) = measure_on_fleet(fleet, self._graphs, self._dtypes, where=str(where)).sweeps
        told = {
            "gpus": gpus, "layers": sweep.measured, "left": sweep.left, "failed": sweep.failed, "wall_s": sweep.wall_s,
            "start_s": started_s, "idle_share": sweep.parent_share,
            "statuses": {str(status): number for status, number in sweep.statuses.items()},
        }  # fmt: skip
        return told, best_times(where)


def seats_of(gpus: int) -> int:
    """Layers at a time per GPU where ``gpus`` share the machine: what a fleet of them takes by itself."""
    from headroom.measure.crew import default_size
    from headroom.measure.driver import driver_of

    with driver_of(0) as driver:
        return default_size(driver.memory_bytes, gpus)


def best_times(where: Path) -> Times:
    """The fastest good time of each chain in each data type, with a warm L2 cache, in microseconds."""
    with Store.open(where, read_only=True) as store:
        (summary,) = store.systems()
        best: Times = {}
        for record in store.records(summary.system):
            times = [row.median_us for row in record.timings if row.status is Status.OK and row.l2 == "warm"]
            if found := [time_us for time_us in times if time_us is not None]:
                best[record.chain.digest, str(record.dtype)] = min(found)
    return best


def differences(before: Times, after: Times) -> dict[str, Any]:
    """By how many percent the times of layers of 20 us and more differ, whichever way."""
    long = [key for key in before.keys() & after.keys() if before[key] >= LONG_US]
    percents = sorted(abs(after[key] / before[key] - 1) * 100 for key in long)
    signed = [(after[key] / before[key] - 1) * 100 for key in long]
    return {
        "layers": len(long),
        "median_pct": statistics.median(percents) if percents else None,
        "p95_pct": percents[int(0.95 * (len(percents) - 1))] if percents else None,
        "median_slower_pct": statistics.median(signed) if signed else None,
    }


def speed(bench: Bench, gpus: int) -> list[dict[str, Any]]:
    """One GPU, then two, four and so on; each with the cores that it has where all are at work."""
    sizes = [size for size in (1, 2, 4, 8) if size <= gpus]
    runs = [bench.run(list(range(size)), gpus)[0] for size in sizes]
    for run in runs:
        run["times_as_fast"] = runs[0]["wall_s"] / run["wall_s"]
        run["promised"] = PROMISED_SPEED.get(len(run["gpus"]))
    return runs


def neighbours(bench: Bench, gpus: int) -> dict[str, Any]:
    """Each GPU alone, the first twice; then all at once."""
    alone = {gpu: bench.run([gpu], gpus)[1] for gpu in range(gpus)}
    again = bench.run([0], gpus)[1]
    with ThreadPoolExecutor(gpus) as threads:
        together = list(threads.map(lambda gpu: bench.run([gpu], gpus)[1], range(gpus)))
    return {
        "alone_twice": differences(alone[0], again),
        "together": {str(gpu): differences(alone[gpu], together[gpu]) for gpu in range(gpus)},
        "promised": {"median_pct": PROMISED_MEDIAN_PCT, "p95_pct": PROMISED_P95_PCT, "from_us": LONG_US},
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("out", type=Path)
    options.add_argument("--model", type=Path, default=ROOT / "examples" / "resnet50.onnx")
    options.add_argument("--batches", default="1,8,32")
    options.add_argument("--dtypes", default="bf16,tf32")
    options.add_argument("--seats", type=int)
    options.add_argument("--only", choices=("speed", "neighbours"))
    asked = options.parse_args()
    graphs = [hr.load(asked.model, batch=int(batch)) for batch in asked.batches.split(",")]
    dtypes = [DataType(name) for name in asked.dtypes.split(",")]
    gpus = count_gpus()
    found: dict[str, Any] = {"gpus": gpus, "batches": asked.batches, "dtypes": asked.dtypes}
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(graphs, dtypes, asked.seats, Path(folder))
        for name, question in (("speed", speed), ("neighbours", neighbours)):
            if asked.only in (None, name):
                found[name] = question(bench, gpus)
                # Written as soon as it is known: the second question takes longer than the first.
                (asked.out / "fleet_scaling.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
