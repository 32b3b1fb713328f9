"""Running the small-batch kernel on the GPU that the tensors are on. Only code that already uses CUDA imports it."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from headroom.change.fission.kernels.sources import FOLDERS, LANES, LINEAR_FILE, WARPS, LinearVariant
from headroom.change.kernels.launch import Shape, enqueue, loaded, sms
from headroom.errors import GpuError

#: Samples from which unpacking the weight once and a library's product are taken instead: about where multiply-adds on
#: plain units, one per weight and sample, outlast the packed weight's way through DRAM.
MOST_SAMPLES = 8
_DTYPES = {torch.float32: "fp32", torch.bfloat16: "bf16"}


def run_linear(layer: Any, inputs: torch.Tensor, variant: LinearVariant | None = None) -> torch.Tensor | None:
    """The packed layer's outputs, or ``None`` where no kernel of ours is for these inputs.

    Args:
        layer: a :class:`~headroom.change.fission.modules.PackedLinear` on the inputs' device.
        inputs: (..., in_features).
        variant: the kernel's shape; the usual one if not given.
    """
    # What does not fit the layer goes to PyTorch, which says so.
    if not layer.in_features or inputs.shape[-1:] != (layer.in_features,):
        return None
    samples = inputs.numel() // layer.in_features
    dtype = _DTYPES.get(inputs.dtype)
    if dtype is None or not 1 <= samples <= MOST_SAMPLES:
        return None
    chosen = variant or usual_variant(layer.form.name, dtype, samples, layer.out_features, sms(inputs.device))
    kernel = _kernel(chosen, inputs.device.index)
    if kernel is None:
        return None
    rows = inputs.reshape(samples, -1).contiguous()
    outputs = torch.empty(samples, layer.out_features, dtype=inputs.dtype, device=inputs.device)
    group_loads = (layer.form.group_of(layer.count) or 1) // chosen.values_per_load or 1
    sizes = (layer.out_features, layer.count, samples, layer.words.shape[1] // 4, group_loads)
    shape = Shape((*chosen.grid(layer.out_features, samples), 1), WARPS * LANES, chosen.shared_bytes)
    operands = (layer.words, layer.scales, rows, layer.bias)
    enqueue(kernel, inputs.device, shape, *operands, outputs, *sizes, int(layer.activation == "relu"))
    return outputs.view(*inputs.shape[:-1], layer.out_features)


def usual_variant(form: str, dtype: str, samples: int, outputs: int, sms: int) -> LinearVariant:
    """Rows share inputs as far as every SM still has two CTAs; K is divided where rows are too few even so."""
    batch = 1 << (samples - 1).bit_length()
    fitting = [
        each
        for each in (LinearVariant(form, dtype, rows, batch, split) for split in (1, 2, 4, 8) for rows in (4, 2, 1))
        if each.fits
    ]
    wide = (each for each in fitting if each.grid(outputs, samples)[0] >= 2 * sms)
    return next(wide, fitting[-1])


@cache
def _kernel(variant: LinearVariant, gpu: int) -> Any:
    """The kernel, loaded; ``None`` where NVRTC is missing or the GPU too old, so that the layer still runs."""
    try:
        return loaded(FOLDERS, LINEAR_FILE, variant.entry, gpu, variant.shared_bytes)
    except GpuError:
        return None
