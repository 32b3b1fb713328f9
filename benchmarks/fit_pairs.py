"""Measure what ``headroom fit`` rests on for pruned CIFAR-10 networks, on every GPU that CUDA shows.

    python benchmarks/fit_pairs.py DATABASE [--budget SECONDS] [--dry-run]
    python benchmarks/fit_pairs.py DATABASE GPU GPUS DEADLINE      (one GPU's share, started by the first)

VGG16 and both ResNet56 as HRankPlus prunes them, at batch 128 and 1, in bf16, tf32 and strict fp32: for each the
network as it is, its uniform round-ups, and whatever the choices of goal lossless and then of goal latency come to
until all of it is measured. A GPU takes every n-th case; run again it goes on where it stopped. Every pair is in
DATABASE as soon as it is done, and ``headroom fit --db DATABASE`` plans from it. ``--dry-run`` takes two cases on fake
GPUs.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import torch
from torch import nn

from headroom.change.widths.fit.ceilings import under
from headroom.change.widths.fit.choice import Asked
from headroom.change.widths.fit.goals import find_goal
from headroom.change.widths.fit.measuring import measured_plan
from headroom.change.widths.fit.network import Network, network_of
from headroom.change.widths.groups import layer_widths, width_groups
from headroom.change.widths.groups.group import WidthGroups
from headroom.change.widths.staircase.measuring import Stopwatch
from headroom.gpu.sheets import load_gpu
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.graph.torch.reader import read_module
from headroom.measure.busy import Guard
from headroom.measure.driver import driver_of
from headroom.store.notebook import open_for_measuring
from headroom.store.store import Store
from staircase_sweep import GPU, TimeIsUp, crew_on, fake_machine, on_every_gpu, until, visible_gpus
from trained_networks import NETWORKS as KNOWN
from training_study.jobs import TARGETS

NETWORKS = ("vgg16-hrank", "resnet56-hrank", "resnet56-hrank-024")
BATCHES, DTYPES = (128, 1), (DataType.BF16, DataType.TF32, DataType.FP32)

#: Goals in the order in which they are measured, with the share of the latency that is to be saved.
GOALS = (("lossless", None), ("latency", 0.35))


@dataclass(frozen=True)
class Fit:
    """One network under one setting, for one goal."""

    network: str
    batch: int
    dtype: DataType
    goal: str
    saves: float | None

    @property
    def title(self) -> str:
        return f"{self.network}, batch {self.batch}, {self.dtype}, {self.goal}"


#: The settings that the figures are about come first: large batches, in bf16.
FITS = tuple(
    Fit(network, batch, dtype, *goal) for goal, batch, dtype, network in product(GOALS, BATCHES, DTYPES, NETWORKS)
)


def main() -> None:
    match sys.argv[1:]:
        case [database, gpu, gpus, deadline] if gpu.isdigit():
            share(Path(database), int(gpu), int(gpus), float(deadline))
            return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path, nargs="?")
    parser.add_argument("--budget", type=float, help="seconds that it may take in all")
    parser.add_argument("--dry-run", action="store_true")
    asked = parser.parse_args()
    if asked.dry_run:
        with fake_machine() as database:
            fill(database, len(FITS), asked.budget)
        return
    if asked.database is None:
        parser.error("name the database that the rows go to")
    fill(asked.database, visible_gpus(), asked.budget)


def fill(database: Path, shares: int, budget_s: float | None) -> None:
    """Measure on every GPU, which takes one of ``shares``."""
    with Store.open(database):
        pass  # created once, before many want to
    begin = time.monotonic()
    codes = on_every_gpu([__file__, database], shares, budget_s)
    print(f"fits: {time.monotonic() - begin:.0f} s, GPUs ended with {codes}", flush=True)


def share(database: Path, gpu: int, gpus: int, deadline: float) -> None:
    """GPU ``gpu``'s cases."""
    mine, done = FITS[gpu::gpus], 0
    with (
        suppress(TimeIsUp),
        until(deadline),
        open_for_measuring(database) as records,
        driver_of(gpu) as driver,
        crew_on(gpu, gpus, Guard(driver, shared=False), driver.memory_bytes) as crew,
    ):
        for fit in mine:
            measured(fit, Stopwatch(crew, records, load_gpu(GPU), fit.dtype), gpu)
            done += 1
    print(f"GPU {gpu}: {done} of {len(mine)} fits measured, {len(mine) - done} left", flush=True)


def measured(fit: Fit, watch: Stopwatch, gpu: int) -> None:
    begin, asked = time.monotonic(), list[str]()
    network, goal = network_at(fit.network, fit.batch), find_goal(fit.goal)
    if not goal.lossless:
        network = under(network, unpruned_at(fit.network, fit.batch))
    plan = measured_plan(network, goal, Asked(fit.saves), watch, on_layer=asked.append)
    print(
        f"GPU {gpu}: {fit.title}: {len(asked)} layers in {time.monotonic() - begin:.0f} s, "
        f"{plan.before_us:.1f} -> {plan.after_us:.1f} us",
        flush=True,
    )


def unpruned_at(name: str, batch: int) -> Graph:
    """What the network was pruned from: what is trained on grows no wider."""
    known = KNOWN[next(parent for parent, targets in TARGETS.items() if name in targets)]
    return read_module(known.build().eval(), torch.zeros(1, *known.image), batch=batch, name=name)


def network_at(name: str, batch: int) -> Network:
    module, inputs, groups = grouped(name)
    graph = read_module(module, inputs, batch=batch, name=name)
    return network_of(graph, groups, layer_widths(module, groups))


@cache
def grouped(name: str) -> tuple[nn.Module, torch.Tensor, WidthGroups]:
    """A network and its width groups, which are proved on few images once for all settings."""
    module, inputs = KNOWN[name].build().eval(), torch.randn(2, *KNOWN[name].image)
    return module, inputs, width_groups(module, inputs)


if __name__ == "__main__":
    main()
