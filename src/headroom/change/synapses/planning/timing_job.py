"""The worker's side of timing slim layers and networks in turn with the dense ones. Importing it loads PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from headroom.change.synapses.kernels.swap import use_kernels
from headroom.change.synapses.planning.stand_ins import stand_in
from headroom.change.synapses.stored import load_slim
from headroom.change.synapses.vectors import Grain
from headroom.change.timed_in_turn import captured, device_here, told
from headroom.graph.tensor import DataType
from headroom.graph.torch.callable import load_module
from headroom.measure.jobs import Json, Say
from headroom.measure.networks.device import Device, Run
from headroom.measure.networks.precision import products_in, torch_dtype


def networks(arguments: Json, say: Say) -> Json:
    """Time the network at ``target`` and the slim one in ``folder``, our kernels in it, each as one CUDA graph.

    Raises:
        GpuError: PyTorch finds no GPU.
        ModelError: the network or the folder cannot be read.
    """
    say({"step": "loading both networks"})
    dense, _ = load_module(arguments["target"])
    slim = load_slim(copy.deepcopy(dense), Path(arguments["folder"]))
    return _timed([dense, slim], arguments)


def layers(arguments: Json, say: Say) -> Json:
    """Time a dense layer and slim ones of given sizes, by our kernels where those are faster, each as one CUDA graph.

    Raises:
        GpuError: PyTorch finds no GPU.
    """
    made = nn.Conv2d if arguments["kind"] == "conv" else nn.Linear
    dense = made(**arguments["options"])
    slim = [stand_in(dense, Grain(grain), count, gathers=gathers) for grain, count, gathers in arguments["sizes"]]
    inputs = [module.weight.shape[1] if type(module) in (nn.Conv2d, nn.Linear) else None for module in slim]
    return _timed([dense, *slim], arguments, [None, *inputs])


def _timed(modules: Sequence[nn.Module], arguments: Json, widths: Sequence[int | None] = ()) -> Json:
    """Medians, noises and verdicts of the modules in turn; ``widths`` are input widths other than the example's."""
    index = int(arguments.get("gpu", 0))
    device = device_here(index)
    dtype = DataType(arguments["dtype"])
    with torch.inference_mode(), products_in(dtype):
        runs = [
            _run(module, _inputs(arguments["shape"], width, dtype, device), dtype, device)
            for module, width in zip(modules, widths or [None] * len(modules), strict=True)
        ]
        return told(runs, device, index)


def _inputs(shape: Sequence[int], width: int | None, dtype: DataType, device: Device) -> torch.Tensor:
    sizes = list(shape)
    if width is not None:
        sizes[1 if len(sizes) == 4 else -1] = width
    made = torch.randn(sizes, dtype=torch_dtype(dtype), device=device.torch)
    if len(sizes) != 4 or dtype is DataType.FP32:
        return made
    # What tensor cores read; plain fp32 kernels are at home in both orders.
    return made.contiguous(memory_format=torch.channels_last)


def _run(module: nn.Module, inputs: torch.Tensor, dtype: DataType, device: Device) -> Run:
    module = module.eval().to(device.torch, torch_dtype(dtype))
    if inputs.dim() == 4 and not inputs.is_contiguous():
        module.to(memory_format=torch.channels_last)
    # A layer may be the whole module; inside another it has a place to be replaced at.
    network = nn.Sequential(module)
    use_kernels(network, inputs, tf32=dtype is DataType.TF32)

    def run() -> Any:
        return network(inputs)

    return captured(run, device)
