"""The worker's side of timing a layer dense and in packed formats. Importing it loads PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import nn

from headroom.change.fission.slim_layers import packed_twin
from headroom.change.timed_in_turn import captured, device_here, told
from headroom.graph.tensor import DataType
from headroom.measure.jobs import Json, Say
from headroom.measure.networks.device import Device, Run
from headroom.measure.networks.precision import products_in, torch_dtype

#: Copies of a layer that a run goes through, so that each finds its weights in DRAM, and what they exceed every L2 by.
_MOST_COPIES, _COPIED_BYTES = 24, 400e6


def layer(arguments: Json, say: Say) -> Json:
    """Time a dense layer, then its packed twin in each of ``forms``, each as one CUDA graph, sampled in turn.

    Weights are random: no time depends on them. ``cold``: whether each run finds its weights in DRAM.

    Raises:
        GpuError: PyTorch finds no GPU.
        UsageError: a format is none.
    """
    index = int(arguments["gpu"])
    device, dtype = device_here(index), DataType(arguments["dtype"])
    made = nn.Conv2d if arguments["kind"] == "conv" else nn.Linear
    dense = made(**arguments["options"])
    modules = [dense, *(packed_twin(dense, form) for form in arguments["forms"])]
    orders = _orders(arguments["shape"], device)
    with torch.inference_mode(), products_in(dtype):
        inputs = torch.randn(arguments["shape"], dtype=torch_dtype(dtype), device=device.torch)
        runs, copies = [], []
        for module in modules:
            every = _copies(module.eval().to(device.torch, torch_dtype(dtype)), cold=bool(arguments["cold"]))
            for order in orders:
                runs.append(captured(_run(every, inputs, order), device))
                copies.append(len(every))
        answer = told(runs, device, index)
    for times in (answer["median_us"], answer["iqr_us"]):
        times[:] = [None if each is None else each / count for each, count in zip(times, copies, strict=True)]
    return _faster_order(answer, len(orders))


def _orders(shape: Sequence[int], device: Device) -> tuple[torch.memory_format, ...]:
    """In which orders of memory a layer is timed: convolutions in both."""
    both = (torch.contiguous_format, torch.channels_last)
    return both if len(shape) == 4 and device.torch.type == "cuda" else both[:1]


def _copies(module: nn.Module, *, cold: bool) -> list[nn.Module]:
    size = sum(each.numel() * each.element_size() for each in (*module.parameters(), *module.buffers()))
    count = min(_MOST_COPIES, int(_COPIED_BYTES // max(1, size)) + 1) if cold else 1
    return [module, *(copy.deepcopy(module) for _ in range(count - 1))]


def _run(modules: Sequence[nn.Module], inputs: torch.Tensor, order: torch.memory_format) -> Run:
    if inputs.dim() == 4:
        inputs = inputs.contiguous(memory_format=order)
        modules = [copy.deepcopy(module).to(memory_format=order) for module in modules]

    def run() -> object:
        return [module(inputs) for module in modules]

    return run


def _faster_order(answer: Json, orders: int) -> Json:
    """Of each module's times, one an order, the least that counts."""

    def time_of(place: int) -> float:
        median = answer["median_us"][place]
        return float("inf") if median is None else float(median)

    key: Callable[[int], float] = time_of
    best = [min(range(first, first + orders), key=key) for first in range(0, len(answer["median_us"]), orders)]
    chosen = {name: [answer[name][place] for place in best] for name in ("median_us", "iqr_us", "reasons")}
    return {"device": answer["device"], **chosen}
