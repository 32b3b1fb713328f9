"""Latencies of the trained networks' shapes side by side: CUDA-graph replays by turns, in three data types."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from trained_networks import NETWORKS
from training_study.jobs import TARGETS, UNPRUNED
from training_study.shapes import Shape

BATCHES, DTYPES = (128, 1), ("bf16", "tf32", "fp32")

#: Rounds by turns, and seconds of each network's turn.
ROUNDS, TURN_S = 15, 0.02


@dataclass(frozen=True)
class Setting:
    """How networks are run."""

    batch: int
    dtype: str


def settings(rehearsal: bool) -> list[Setting]:
    if rehearsal:
        return [Setting(2, "fp32")]
    return [Setting(batch, dtype) for batch in BATCHES for dtype in DTYPES]


def timed(rows: list[dict[str, Any]], device: str, rehearsal: bool = False) -> Iterator[dict[str, Any]]:
    """A row per target and setting: the median of each variant, and of its ratio to the pruned network's turn.

    Weights do not change how long dense networks take, so each variant is timed once, in its first seed's shape.
    """
    shapes = {(row["network"], row["variant"]): row["shape"] for row in reversed(rows) if "shape" in row}
    for network, targets in TARGETS.items():
        for target in targets:
            own = {
                variant.removeprefix(f"{target}-"): Shape.from_json(shape)
                for (name, variant), shape in shapes.items()
                if name == network and (variant == UNPRUNED or _is_of(variant, target))
            }
            if "pruned" not in own:
                continue
            for setting in settings(rehearsal):
                found = _by_turns({name: shape.build() for name, shape in own.items()}, network, setting, device)
                yield {"target": target, "batch": setting.batch, "dtype": setting.dtype, **found}


def _is_of(variant: str, target: str) -> bool:
    """Whether a variant is made for this target, and not for one whose name begins alike."""
    longer = [each for every in TARGETS.values() for each in every if each.startswith(target) and each != target]
    return variant.startswith(f"{target}-") and not any(variant.startswith(f"{each}-") for each in longer)


def _by_turns(networks: Mapping[str, nn.Module], network: str, setting: Setting, device: str) -> dict[str, Any]:
    on_gpu = torch.device(device).type == "cuda"
    before = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = setting.dtype == "tf32"
    try:
        images = torch.randn(setting.batch, *NETWORKS[network].image, device=device)
        runs = {name: _runner(module, images, setting, device, on_gpu) for name, module in networks.items()}
        turns: dict[str, list[float]] = {name: [] for name in runs}
        repeats = {name: max(1, int(TURN_S / max(turn_us(run, 3, on_gpu) * 1e-6, 1e-6))) for name, run in runs.items()}
        for _ in range(ROUNDS if on_gpu else 2):
            for name, run in runs.items():
                turns[name].append(turn_us(run, repeats[name], on_gpu))
    finally:
        flags = torch.backends.cudnn, torch.backends.cuda.matmul
        flags[0].benchmark, flags[0].allow_tf32, flags[1].allow_tf32 = before
    ratios = {
        name: statistics.median(one / other for one, other in zip(times, turns["pruned"], strict=True))
        for name, times in turns.items()
    }
    return {"us": {name: statistics.median(times) for name, times in turns.items()}, "of_pruned": ratios}


def _runner(module: nn.Module, images: torch.Tensor, setting: Setting, device: str, on_gpu: bool) -> Callable[[], Any]:
    module = module.to(device).eval().requires_grad_(False)
    if setting.dtype == "bf16":
        module, images = module.bfloat16(), images.bfloat16()
    if on_gpu:
        module, images = (each.to(memory_format=torch.channels_last) for each in (module, images))

    def run() -> Any:
        with torch.inference_mode():
            return module(images)

    return captured(run) if on_gpu else run


def captured(run: Callable[[], Any]) -> Callable[[], Any]:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def turn_us(run: Callable[[], Any], repeats: int, on_gpu: bool) -> float:
    """Microseconds of one of ``repeats`` runs in a row."""
    if not on_gpu:
        begin = time.perf_counter()
        for _ in range(repeats):
            run()
        return (time.perf_counter() - begin) / repeats * 1e6
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    run()
    first.record()
    for _ in range(repeats):
        run()
    last.record()
    last.synchronize()
    return float(first.elapsed_time(last)) * 1e3 / repeats
