"""Is the bound a bound? At least twelve networks as frameworks run them, beside their fused bounds.

    python benchmarks/network_bounds.py measure OUT_FOLDER [--limit SECONDS] [--processes N] [--models FOLDER]
                                                [--networks NAME,…] [--dry-run]
    python benchmarks/network_bounds.py page [DATA_FOLDER]

``measure`` needs the GPU, PyTorch, torchvision and transformers. It appends to ``OUT_FOLDER/network_bounds.jsonl``,
skips what is there, and stops in time for ``--limit``. Networks are compiled side by side, as many as there are
cores, and then timed one at a time while the others wait. ``page`` needs the database; it reads
``benchmarks/results/network_bounds.jsonl`` and writes ``docs/bounds.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import bound_networks
from headroom.graph.tensor import DataType
from headroom.measure.networks.request import Request

BATCHES = (1, 32)
DTYPES = (DataType.BF16, DataType.TF32)
MODES = ("channels-last", "channels-last cuda-graph", "channels-last compile reduce-overhead")
AUTOTUNE = "channels-last compile max-autotune"

FILE = "network_bounds.jsonl"

#: What each process runs.
ITEM = Path(__file__).with_name("network_bounds_item.py")

#: Compiling one network beside others takes a minute or two; one that has not come by then is left out.
READY_S = 300.0

#: What the first round is taken to need before there is one to judge by.
ROUND_S = 150.0


def measure(arguments: argparse.Namespace) -> None:
    """Rounds of as many networks as there are processes, until nothing is left or the time is."""
    begin = time.monotonic()
    path = Path(arguments.out) / FILE
    path.touch()
    done = {key_of(row) for row in read(path)}
    rounds = list(rounds_of(requests(arguments), arguments.processes, done))
    longest = 0.0 if arguments.dry_run else ROUND_S
    for number, group in enumerate(rounds, start=1):
        left = arguments.limit - (time.monotonic() - begin)
        if left < longest:
            print(f"stopping before round {number} of {len(rounds)}: {left:.0f} s are left")
            return
        start = time.monotonic()
        run_round(group, path, left, arguments.dry_run)
        longest = max(longest, time.monotonic() - start)
    print("nothing is left to measure")


def requests(arguments: argparse.Namespace) -> Iterator[Request]:
    """What to measure, the most telling first; autotuning at the end, because each takes minutes."""
    if arguments.dry_run:
        yield Request("bound_networks:tiny", DataType.BF16, ("eager", "compile"), 2, energy_seconds=0)
        return
    files = sorted(Path(arguments.models).glob("*.onnx")) if arguments.models else []
    names = arguments.networks.split(",") if arguments.networks else [*bound_networks.BOUNDS]
    models = [*(f"bound_networks:{name}" for name in names), *(str(file.resolve()) for file in files)]
    for dtype in DTYPES:
        for batch in BATCHES:
            for model in models:
                yield Request(model, dtype, MODES, batch, energy_seconds=0)
    for name in bound_networks.AUTOTUNED:
        if name in names:
            yield Request(f"bound_networks:{name}", DataType.BF16, (AUTOTUNE,), 1, energy_seconds=0)


def rounds_of(wanted: Iterator[Request], processes: int, done: set[tuple[Any, ...]]) -> Iterator[list[Request]]:
    """Groups that run side by side. Autotuning times kernels itself and needs the GPU for itself."""
    group: list[Request] = []
    for request in wanted:
        if all((request.name, request.batch, str(request.dtype), mode) in done for mode in request.modes):
            continue
        if AUTOTUNE in request.modes:
            if group:
                yield group
            yield [request]
            group = []
            continue
        group.append(request)
        if len(group) == processes:
            yield group
            group = []
    if group:
        yield group


def run_round(group: Sequence[Request], path: Path, limit_s: float, dry_run: bool) -> None:
    """Prepare every network of the group at once, then time one after another; what is late is killed."""
    deadline = time.monotonic() + (limit_s if len(group) == 1 else min(limit_s, READY_S))
    items = [Item(request, dry_run, alone=len(group) == 1) for request in group]
    try:
        ready = [item for item in items if item.is_ready(deadline)]
        for item in ready:
            for row in item.rows():
                with path.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(f"{row['model']} {row['batch']} {row['dtype']} {row['mode']}: {shown(row)}", flush=True)
    finally:
        for item in items:
            item.close()


class Item:
    """A process that prepares one network and waits for its turn."""

    def __init__(self, request: Request, dry_run: bool, *, alone: bool) -> None:
        self.request = request
        command = [sys.executable, str(ITEM)]
        command += [json.dumps(request.to_json()), *(["--dry-run"] if dry_run else [])]
        here, known = str(Path(__file__).parent), os.environ.get("PYTHONPATH")
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join([here, known] if known else [here]))
        if not alone:
            # Each of many processes compiles with one thread; alone it may use every core.
            environment |= {"TORCHINDUCTOR_COMPILE_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._is_ready = False
        self._said = threading.Event()
        threading.Thread(target=self._wait_for_ready, daemon=True).start()

    def _wait_for_ready(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == "ready":
                self._is_ready = True
                break
        self._said.set()

    def is_ready(self, deadline: float) -> bool:
        """Wait until it is; ``False`` if it died or is too late."""
        self._said.wait(max(0.0, deadline - time.monotonic()))
        if not self._is_ready:
            why = "died" if self._said.is_set() else "is too late"
            print(f"{self.request.model} {self.request.batch} {self.request.dtype}: {why}", flush=True)
        return self._is_ready

    def rows(self) -> Iterator[dict[str, Any]]:
        """Let it time, and hand on its rows."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):  # it died while it waited: its output ends at once
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("{"):
                yield json.loads(line)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def read(path: Path) -> list[dict[str, Any]]:
    """Whole lines; half of one, which a run that was killed may have left, is taken out of the file."""
    lines = path.read_text().splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        print(f"{path}: dropping a line that is not whole")
        path.write_text("".join(lines[:-1]))
        lines = lines[:-1]
    return [json.loads(line) for line in lines]


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["model"], row["batch"], row["dtype"], row["mode"]


def shown(row: dict[str, Any]) -> str:
    if row["median_us"] is None:
        return f"{row['status']}, {row['reason']}"
    return f"{row['median_us']:.1f} us ± {row['iqr_us']:.1f} {row['status']}"


def main() -> None:
    if sys.argv[1:2] == ["page"]:
        import network_bounds_page

        network_bounds_page.write(Path(sys.argv[2]) if len(sys.argv) > 2 else None)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["measure"])
    parser.add_argument("out")
    parser.add_argument("--limit", type=float, default=540.0)
    parser.add_argument("--processes", type=int, default=min(16, os.cpu_count() or 1))
    parser.add_argument("--models", default="")
    parser.add_argument("--networks", default="")
    parser.add_argument("--dry-run", action="store_true")
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
