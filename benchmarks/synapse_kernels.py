"""Per layer of the paper's networks: the dense layer's best plan, PyTorch, the channel grain and our column kernels.

    python benchmarks/synapse_kernels.py [--limit SECONDS] [--network NAME] [--batch N] [--dtype TYPE] [--dry-run]

Needs a GPU. Appends one JSON line per layer, batch and data type to ``results/synapse_kernels.jsonl``, skips what is
there, and begins nothing after ``--limit``. Each line has microseconds by name, timed by turns: ``dense`` and
``channel`` are the fastest of all plans of the layer and of one with half its channels, ``torch`` is PyTorch's dense
convolution in NHWC, ``runs``, ``scattered`` and ``whole`` our fastest kernels for half the columns in runs of eight
channels, for half of them anywhere, and for all of them: beside ``dense`` that shows what the kernel itself is worth,
``scattered`` beside ``runs`` what gathering single columns costs. ``--dry-run`` times nothing: two small layers, a
fake GPU, no file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch

from headroom.change.synapses.kernels.choose import DENSE, choose
from headroom.change.synapses.kernels.programs import LayerProgram, fastest_programs
from headroom.change.synapses.kernels.variants import Arithmetic
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.measure.bench import Bench, Program, Replaying
from headroom.measure.layer import measure_layer
from headroom.measure.task import Task
from headroom.store.rows import Implementation, Status, Timing
from record import RESULTS
from synapse_layers import LAYERS, PaperLayer

FILE = "synapse_kernels.jsonl"
BATCHES, DTYPES = (1, 32, 128), (DataType.FP32, DataType.TF32, DataType.BF16)
SHARE = 0.5
#: Columns that stay: their share, and whether in runs of channels.
KEPT = {"runs": (SHARE, True), "scattered": (SHARE, False), "whole": (1.0, False)}
#: Seconds for all plans of one layer, and kernels of ours per selection that are timed by turns.
PLANS_S, MOST = 20.0, 2


class Machine(Protocol):
    """Where programs run: a GPU, or none."""

    bench: Bench
    device: str

    def time_us(self, program: Program, *, precise: bool = True) -> float: ...


class GpuMachine:
    """GPU 0, by the stopwatch, warm L2."""

    device = "cuda"

    def __init__(self) -> None:
        from headroom.measure.cuda.bench import CudaBench

        self.bench: Bench = CudaBench(0)

    def time_us(self, program: Program, *, precise: bool = True) -> float:
        return statistics.median(self.bench.time(program, "warm", precise=precise).samples_us)


class DryMachine:
    """No GPU: programs of ours run once, on the CPU; times are the theory's, or one microsecond."""

    device = "cpu"

    def __init__(self) -> None:
        from headroom.measure.fake import FakeBench

        self.bench: Bench = FakeBench()

    def time_us(self, program: Program, *, precise: bool = True) -> float:
        program.launch()
        return float(getattr(program, "time_us", {"warm": 1.0})["warm"])


class Rows:
    """Keeps the rows that the loop over a library's plans tells."""

    def __init__(self) -> None:
        self.timed: dict[Implementation, float] = {}

    def trying(self, implementation: Implementation, l2: str) -> None: ...

    def waiting(self) -> None: ...

    def running(self) -> None: ...

    def timing(self, timing: Timing) -> None:
        if timing.status is Status.OK and timing.median_us is not None:
            self.timed[timing.implementation] = timing.median_us


def best_plan(machine: Machine, chain: Chain, dtype: DataType) -> tuple[str, Program]:
    """The fastest of all implementations, built anew, and its name."""
    task, rows = Task(chain, dtype, l2_states=("warm",)), Rows()
    measure_layer(task, machine.bench, rows, seconds=PLANS_S)
    best = min(rows.timed, key=lambda implementation: rows.timed[implementation])
    operands = machine.bench.operands(task)
    backend = next(each for each in machine.bench.backends if best.backend == each.name)
    if isinstance(backend, Replaying):
        candidate = backend.candidate(task, operands, best)
    else:
        candidate = next(each for each in backend.candidates(task, operands) if each.implementation == best)
    return f"{best.backend} {best.name} {best.layout}".strip(), candidate.build()


def inputs_of(layer: PaperLayer, batch: int, dtype: DataType, device: str) -> torch.Tensor:
    shape = (batch, layer.channels) if layer.linear else (batch, layer.channels, layer.size, layer.size)
    made = torch.randn(shape, dtype=torch.bfloat16 if dtype is DataType.BF16 else torch.float32, device=device)
    return made if layer.linear else made.contiguous(memory_format=torch.channels_last)


def torch_program(layer: PaperLayer, inputs: torch.Tensor) -> Program:
    """PyTorch's dense layer, with cuDNN's default heuristic."""
    if layer.linear:
        module: torch.nn.Module = torch.nn.Linear(layer.channels, layer.outputs)
    else:
        sizes = layer.channels, layer.outputs, layer.kernel, layer.stride, layer.padding
        module = torch.nn.Conv2d(*sizes).to(memory_format=torch.channels_last)
    module = torch.nn.Sequential(module, torch.nn.ReLU()) if layer.relu else module
    return LayerProgram(module.to(inputs.device, inputs.dtype), inputs)


def measured(machine: Machine, layer: PaperLayer, batch: int, dtype: DataType) -> dict[str, Any]:
    """One line of results."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = dtype is DataType.TF32
    arithmetic, inputs = Arithmetic(str(dtype)), inputs_of(layer, batch, dtype, machine.device)
    quick_us = partial(machine.time_us, precise=False)
    programs: dict[str, Program] = {}
    names = {}
    names[DENSE], programs[DENSE] = best_plan(machine, layer.chain(batch), dtype)
    names["channel"], programs["channel"] = best_plan(machine, layer.with_channels(SHARE).chain(batch), dtype)
    programs["torch"] = torch_program(layer, inputs)
    for selection, kept in KEPT.items():
        slim = layer.slim(*kept).to(inputs.device)
        found = fastest_programs(slim, inputs, arithmetic, quick_us, relu=layer.relu, most=MOST)
        programs.update({f"{selection} {key}": program for key, program in found.items()})
    choice = choose(programs, machine.time_us)
    slimmer = {name: us for name, us in choice.times_us.items() if not name.startswith(("torch", "whole"))}
    fastest = min(slimmer, key=lambda name: slimmer[name])
    times = {name: round(us, 3) for name, us in choice.times_us.items()}
    return {"columns": layer.columns, "times_us": times, "plans": names, "fastest": fastest}


def items(asked: argparse.Namespace) -> Iterator[tuple[PaperLayer, int, DataType]]:
    for layer in LAYERS:
        for batch in BATCHES:
            for dtype in DTYPES:
                wanted = (asked.network, layer.network), (asked.batch, batch), (asked.dtype, str(dtype))
                if all(wish in (None, found) for wish, found in wanted):
                    yield layer, batch, dtype


def key_of(layer: PaperLayer, batch: int, dtype: DataType) -> dict[str, Any]:
    return {"network": layer.network, "layer": layer.name, "batch": batch, "dtype": str(dtype)}


def run(
    path: Path,
    work: list[tuple[PaperLayer, int, DataType]],
    measure: Callable[[PaperLayer, int, DataType], Mapping[str, Any]],
    about: Mapping[str, Any],
    limit_s: float,
) -> int:
    """Measure what the file lacks and append it; how many items are left when the time is over."""
    began, keys = time.monotonic(), ("network", "layer", "batch", "dtype")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    # A killed run may leave half a line.
    whole = [json.loads(line) for line in lines if line.endswith("}")]
    done = {tuple(row[key] for key in keys) for row in whole if row["about"] == about}
    path.write_text("".join(json.dumps(row) + "\n" for row in whole), "utf-8")
    left = [item for item in work if tuple(key_of(*item).values()) not in done]
    for place, item in enumerate(left):
        if time.monotonic() - began > limit_s:
            return len(left) - place
        row = {**key_of(*item), **measure(*item), "about": dict(about)}
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print({key: row[key] for key in (*keys, "fastest", "times_us") if key in row}, flush=True)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=float("inf"), help="seconds after which no layer is begun")
    parser.add_argument("--network")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--dtype")
    parser.add_argument("--dry-run", action="store_true")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    if asked.dry_run:
        print(json.dumps([dry_row(layer) for layer in LAYERS if layer.network == "LeNet-5"], indent=1))
        return
    machine = GpuMachine()
    about = {"system": machine.bench.facts().system.title}
    left = run(RESULTS / FILE, list(items(asked)), partial(measured, machine), about, asked.limit)
    print(f"{left} left: run again" if left else "all measured")


def dry_row(layer: PaperLayer) -> dict[str, Any]:
    """One item without a GPU."""
    kept = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        return {**key_of(layer, 1, DataType.FP32), **measured(DryMachine(), layer, 1, DataType.FP32)}
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = kept


if __name__ == "__main__":
    main()
