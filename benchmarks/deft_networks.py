"""AlexNet and VGG16 at 224x224 end to end on this GPU: dense by the best plans and by PyTorch, slim, packed, and both.

    python benchmarks/deft_networks.py [--dry-run] [--limit SECONDS] [--network NAME] [--outputs N] [--ways slim|packed]

Appends one JSON line per network, batch, data type and way to ``results/deft_networks.jsonl``, skips what is there,
and begins nothing after ``--limit``. A line has microseconds of one run, replayed as a CUDA graph. ``dense`` is
PyTorch's by cuDNN's own search, in the faster layout; ``best plans`` adds up every layer's fastest plan of all
libraries. Weights are random: these are times, accuracy is the training's to say. ``slim`` keeps half of the synapse
vectors, ``slim, filters too`` drops the filters that made them as well. With N outputs AlexNet is the paper's IMC
(1000), OXF (102), FLS (20) or SOS (5). ``--dry-run`` times nothing: it builds and runs AlexNet in every way once on the
CPU, and writes no file.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from deft_ways import layers_of, sample, ways
from headroom.graph.tensor import DataType
from record import RESULTS

FILE = "deft_networks.jsonl"
BATCHES, DTYPES = (1, 32, 128), (DataType.FP32, DataType.BF16)
BEST = "best plans"
#: Those of issue and paper that concern synapses, and bits.
KINDS = {
    "slim": ("dense", "slim, filters too", "slim columns", BEST),
    "packed": (
        "dense", "packed int8", "packed int4_g128", "slim columns, packed int8", "slim, filters too, packed int8",
        "near Deft-16Q", "near int8", BEST,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One time to take."""

    network: str
    batch: int
    dtype: str
    way: str
    outputs: int = 1000


def rows(kinds: str | None = None, network: str | None = None, outputs: int = 1000) -> Iterator[Row]:
    """Everything, each network's ways side by side; sums of the libraries' plans last, as they take longest."""
    names = KINDS[kinds] if kinds else tuple(dict.fromkeys(name for each in KINDS.values() for name in each))
    for late in (False, True):
        for batch in BATCHES:
            for dtype in DTYPES:
                for each in ("AlexNet", "VGG16"):
                    for way in names:
                        kept = (way == BEST) is late and network in (None, each)
                        # Splitting beside plain multiply-adds is for strict fp32.
                        if kept and not (way.startswith("near") and dtype is not DataType.FP32):
                            yield Row(each, batch, str(dtype), way, outputs)


def timed(row: Row) -> dict[str, Any]:
    """The row's time, or why it has none."""
    if row.way == BEST:
        return _best_plans(row)
    from fission_timing import median_us
    from headroom.change.synapses.kernels.swap import use_kernels

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    dtype = torch.float32 if row.dtype == "fp32" else torch.bfloat16
    network, images = _made(row).to("cuda", dtype), sample(row.network, row.batch).to("cuda", dtype)
    every = {}
    with torch.inference_mode():
        for name, order in (("NCHW", torch.contiguous_format), ("NHWC", torch.channels_last)):
            inputs = images.contiguous(memory_format=order)
            network = network.to(memory_format=order)
            if row.way.startswith("slim columns") and not every:
                use_kernels(network, inputs)
            every[name] = median_us([lambda network=network, inputs=inputs: network(inputs)])
    best = min(every, key=lambda name: every[name]["time_us"])
    return {**every[best], "layout": best, "layouts": {name: found["time_us"] for name, found in every.items()}}


def _made(row: Row) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ways(row.network, row.outputs)[row.way]()


def _best_plans(row: Row) -> dict[str, Any]:
    """Every layer's fastest plan of all libraries, with its bias and ReLU; poolings are not in it."""
    from synapse_kernels import best_plan

    machine, plans, total_us = _machine(), {}, 0.0
    for layer in layers_of(row.network, row.outputs):
        name, program = best_plan(machine, layer.chain(row.batch), DataType(row.dtype))
        time_us = machine.time_us(program)
        plans[layer.name] = [name, round(time_us, 3)]
        total_us += time_us
    return {"time_us": total_us, "plans": plans}


@cache
def _machine() -> Any:
    from synapse_kernels import GpuMachine

    return GpuMachine()


def run(path: Path, wanted: list[Row], timer: Callable[[Row], dict[str, Any]], system: str, limit_s: float) -> int:
    """Time what the file lacks and append it; how many rows are left when the time is over."""
    began = time.monotonic()
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    known = [json.loads(line) for line in lines if line.endswith("}")]
    done = {(row["system"], *(row[key] for key in asdict(wanted[0]))) for row in known} if wanted else set()
    left = [row for row in wanted if (system, *asdict(row).values()) not in done]
    for place, row in enumerate(left):
        if time.monotonic() - began > limit_s:
            return len(left) - place
        line = {"system": system, **asdict(row), **_answered(timer, row)}
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(f"{row.network} {row.batch} {row.dtype} {row.way}: {line['time_us'] or line['why']}", flush=True)
    return 0


def _answered(timer: Callable[[Row], dict[str, Any]], row: Row) -> dict[str, Any]:
    try:
        return timer(row)
    except Exception as error:  # noqa: BLE001 - a way that fails is a line with its reason, and the others go on
        return {"time_us": None, "why": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}


def rehearse(network: str = "AlexNet") -> dict[str, list[int]]:
    """Each way's outputs' shape, built and run on the CPU."""
    images = sample(network, 1)
    with torch.inference_mode():
        return {name: list(make()(images).shape) for name, make in ways(network).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--limit", type=float, default=float("inf"), help="seconds after which no row is begun")
    parser.add_argument("--network", choices=("AlexNet", "VGG16"))
    parser.add_argument("--outputs", type=int, default=1000)
    parser.add_argument("--ways", choices=tuple(KINDS))
    asked = parser.parse_args()
    wanted = list(rows(asked.ways, asked.network, asked.outputs))
    if asked.dry_run:
        print(f"{len(wanted)} rows, the first {wanted[0]}")
        for name, shape in rehearse(asked.network or "AlexNet").items():
            print(f"{name}: outputs {shape}")
        return
    from fission_timing import system_name

    left = run(RESULTS / FILE, wanted, timed, system_name(), asked.limit)
    print(f"{left} left: run again" if left else "all timed")


if __name__ == "__main__":
    main()
