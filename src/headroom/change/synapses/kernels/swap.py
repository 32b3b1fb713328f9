"""Slim networks on a GPU by our kernels, where those are faster. Importing it loads PyTorch, nothing of CUDA.

What is saved of a slim network is PyTorch's layers, which run anywhere. Which kernel is the fastest depends on the GPU,
the batch and the data type, so that it is found where the network is to run, once, and is not saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from headroom.change.synapses.kernels.choose import Time, choose
from headroom.change.synapses.kernels.programs import LayerProgram, fastest_programs
from headroom.change.synapses.kernels.variants import Arithmetic
from headroom.change.synapses.modules import SlimConv2d, SlimLinear
from headroom.change.synapses.slim import put
from headroom.errors import UsageError
from headroom.measure.bench import Program
from headroom.measure.networks.device import Gpu

#: The layer as PyTorch runs it, among the names of kernels.
PYTORCH = "pytorch"
#: Replays that one time is the mean of.
_REPLAYS = 20


def use_kernels(network: nn.Module, example: torch.Tensor, *, tf32: bool = False) -> Mapping[str, str]:
    """Give slim layers of ``network``, in place, the fastest of our kernels where it is faster than PyTorch's own.

    Call it when the network is on the GPU and has its data type; the layers have no gradient afterwards. On the CPU,
    and in data types that our kernels do not have, every layer stays as it is.

    Args:
        network: of :func:`headroom.change.synapses.stored.load_slim`, or what :meth:`headroom.Slimming.apply` gave.
        example: inputs at the batch that it is to run at, on the same device.
        tf32: whether fp32 layers may round what they multiply to tf32.

    Returns:
        The kernels that were put in, by the layer's name.

    Raises:
        GpuError: cuda-core or NVRTC is missing, or a kernel does not compile.
    """
    if not example.is_cuda:
        return {}
    with torch.cuda.device(example.device):
        gpu = Gpu(example.device.index)
        return swapped(network, example, lambda program: _time_us(program, gpu), tf32=tf32)


def swapped(network: nn.Module, example: torch.Tensor, time_us: Time, *, tf32: bool = False) -> Mapping[str, str]:
    """What :func:`use_kernels` does, by any clock, wherever the operator runs."""
    found = {}
    for name, (slim, inputs) in _inputs(network, example).items():
        arithmetic = arithmetic_of(slim.weight.dtype, tf32=tf32)
        if arithmetic is None or not inputs.numel() or inputs.dtype != slim.weight.dtype:
            continue
        try:
            kernels = fastest_programs(slim, inputs, arithmetic, time_us)
        except UsageError:
            continue  # more channels or a larger image than the kernels number
        kernel = choose({PYTORCH: LayerProgram(slim, inputs), **kernels}, time_us, over=PYTORCH).name
        if kernel != PYTORCH:
            put(network, name, kernels[kernel].layer)
            found[name] = kernel
    return found


def arithmetic_of(dtype: torch.dtype, *, tf32: bool = False) -> Arithmetic | None:
    """What our kernels compute layers of that type in, if they do."""
    if dtype == torch.float32:
        return Arithmetic.TF32 if tf32 else Arithmetic.FP32
    return Arithmetic.BF16 if dtype == torch.bfloat16 else None


def _inputs(network: nn.Module, example: torch.Tensor) -> dict[str, tuple[SlimLinear | SlimConv2d, torch.Tensor]]:
    """The slim layers below ``network`` that it runs, each with what it then reads."""
    found: dict[str, tuple[SlimLinear | SlimConv2d, torch.Tensor]] = {}
    hooks = []
    for name, module in network.named_modules():
        if name and isinstance(module, SlimLinear | SlimConv2d):

            def keep(slim: Any, given: tuple[torch.Tensor, ...], name: str = name) -> None:
                if given:
                    found[name] = slim, given[0].detach()

            hooks.append(module.register_forward_pre_hook(keep))
    try:
        with torch.no_grad():
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _time_us(program: Program, gpu: Gpu) -> float:
    """Microseconds as part of a CUDA graph: by single launches short kernels would all take as long."""
    replay = gpu.captured(program.launch)
    gpu.wall_us(replay, _REPLAYS)
    return gpu.wall_us(replay, _REPLAYS)
