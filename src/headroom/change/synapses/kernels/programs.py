"""Gathered layers as programs that the stopwatch can time. Importing it loads PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from headroom.change.synapses.kernels.choose import Time
from headroom.change.synapses.kernels.layers import GatheredLayer, kernels_for
from headroom.change.synapses.kernels.variants import Arithmetic, Gather, Gemv
from headroom.change.synapses.modules import SlimConv2d, SlimLinear


class LayerProgram:
    """A module on fixed inputs: its launches allocate from PyTorch's pool, which a CUDA graph's capture keeps."""

    workspace_bytes = 0

    def __init__(self, layer: GatheredLayer | Any, inputs: torch.Tensor) -> None:
        self.layer, self._inputs = layer, inputs
        self._out: torch.Tensor | None = None
        self.launch()  # compiles and loads the kernel, which must not happen inside a capture

    def launch(self) -> None:
        with torch.no_grad():
            self._out = self.layer(self._inputs)

    def outputs(self) -> Sequence[torch.Tensor]:
        assert self._out is not None
        return (self._out,)


def fastest_programs(
    slim: SlimLinear | SlimConv2d,
    inputs: torch.Tensor,
    arithmetic: Arithmetic,
    quick_us: Time,
    *,
    relu: bool = False,
    most: int = 2,
) -> dict[str, LayerProgram]:
    """The ``most`` fastest kernels for the layer on such inputs, by a quick look at each that can run it there.

    Args:
        inputs: as the layer will get them, on the device that measures.
        quick_us: the time of one program; :func:`~headroom.change.synapses.kernels.choose.choose` then compares the few
            that are left with the dense layer, by turns.
    """
    timed: list[tuple[float, str, LayerProgram]] = []
    rows = inputs.numel() // max(1, inputs.shape[-1])
    for kernel in kernels_for(slim, arithmetic, rows):
        if inputs.is_cuda and not fits(kernel, inputs.device):
            continue
        program = LayerProgram(GatheredLayer(slim, kernel, relu=relu), inputs)
        timed.append((quick_us(program), kernel.key, program))
        # The others are let go of at once: each has the layer's weights anew.
        timed = sorted(timed, key=lambda each: each[:2])[:most]
    return {key: program for _, key, program in timed}


def fits(kernel: Gather | Gemv, device: torch.device) -> bool:
    """Whether a GPU has the instructions and the shared memory that a kernel needs."""
    gpu = torch.cuda.get_device_properties(device)
    if (gpu.major, gpu.minor) < kernel.arithmetic.minimum:
        return False
    return isinstance(kernel, Gemv) or bool(kernel.shared_bytes <= gpu.shared_memory_per_block_optin)
