"""Our kernels as the PyTorch operator ``headroom::gather``, known to ``torch.compile`` and CUDA graphs.

Importing it loads PyTorch and registers the operator, nothing of CUDA. It has no gradient: train the layers of
:mod:`~headroom.change.synapses.modules` and make these of them afterwards. On the CPU it is PyTorch's own convolution
with the removed weights zero, to check against.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from headroom.change.kernels.launch import Shape, enqueue, loaded, sms
from headroom.change.synapses.kernels.geometry import Layer
from headroom.change.synapses.kernels.variants import (
    FOLDERS,
    GEMV_OUTPUTS,
    GEMV_THREADS,
    Arithmetic,
    Gather,
    Gemv,
    kernel_of,
    sum_name,
)
from headroom.errors import UsageError

_SUM_THREADS = 256
#: The widest load of inputs.
_LOAD_BYTES = 16
_DTYPES = {Arithmetic.FP32: torch.float32, Arithmetic.TF32: torch.float32, Arithmetic.BF16: torch.bfloat16}

# inputs: (batch, channels, h, w), channels last in memory or copied so. table, weight: as pack.Packed has them, int32
# and float32 or bfloat16. bias: float32. window: extent, stride (down, along), padding (left, right, above, below).
# kernel: a variant's key. parts: of K, 0 for as many as fill the GPU.
torch.library.define(
    "headroom::gather",
    "(Tensor inputs, Tensor table, Tensor weight, Tensor? bias, int outputs, int[] window, str kernel, int parts, "
    "bool relu) -> Tensor",
)


def layer_of(inputs: torch.Tensor, outputs: int, window: list[int]) -> Layer:
    """The layer for inputs of this shape.

    Raises:
        UsageError: it is more than the kernels index.
    """
    batch, channels, height, width = inputs.shape
    extent, stride, padding = window[:2], window[2:4], window[4:]
    left, right, above, below = padding
    places = (extent[0], extent[1]), (stride[0], stride[1]), (left, right, above, below)
    return Layer(batch, channels, (height, width), outputs, *places)


@torch.library.register_fake("headroom::gather")  # type: ignore[untyped-decorator]
def _shape(
    inputs: torch.Tensor,
    table: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    outputs: int,
    window: list[int],
    kernel: str,
    parts: int,
    relu: bool,
) -> torch.Tensor:
    # Not through Layer: sizes may be symbols here.
    height = (inputs.shape[2] + window[6] + window[7] - window[0]) // window[2] + 1
    width = (inputs.shape[3] + window[4] + window[5] - window[1]) // window[3] + 1
    return _empty(inputs, (inputs.shape[0], outputs, height, width))


@torch.library.impl("headroom::gather", "CUDA")  # type: ignore[untyped-decorator]
def _on_gpu(
    inputs: torch.Tensor,
    table: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    outputs: int,
    window: list[int],
    kernel: str,
    parts: int,
    relu: bool,
) -> torch.Tensor:
    layer = layer_of(inputs, outputs, window)
    variant = kernel_of(kernel, layer.batch)
    expected = _DTYPES[variant.arithmetic]
    if (inputs.dtype, weight.dtype) != (expected, expected) or (bias is not None and bias.dtype != torch.float32):
        raise UsageError(f"kernel {kernel} takes inputs and weights of {expected}, not {inputs.dtype}; convert them")
    out = _empty(inputs, (layer.batch, outputs, *layer.size_out))
    if not out.numel():
        return out
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    if inputs.data_ptr() % _LOAD_BYTES:
        inputs = inputs.clone()  # a view into the midst of a tensor: wide loads would fault
    operands = (inputs, table, weight, bias)
    if isinstance(variant, Gemv):
        _few_rows(variant, layer, operands, out, relu)
    else:
        parts = parts or layer.parts(variant, len(weight), sms(inputs.device))
        _tiles(variant, layer, operands, out, parts, relu)
    return out


Operands = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]


def _tiles(variant: Gather, layer: Layer, operands: Operands, out: torch.Tensor, parts: int, relu: bool) -> None:
    _, _, weight, bias = operands
    device, gpu = out.device, out.device.index
    kernel = loaded(FOLDERS, variant.file, variant.name, gpu, variant.shared_bytes)
    target = out if parts == 1 else torch.empty(parts * out.numel(), dtype=torch.float32, device=device)
    shape = Shape(layer.grid(variant, parts), variant.threads, variant.shared_bytes)
    enqueue(kernel, device, shape, *operands, target, len(weight), weight.shape[1], int(relu), *layer.arguments)
    if parts > 1:
        add_up = loaded(FOLDERS, variant.file, sum_name(variant.arithmetic), gpu)
        shape = Shape((-(-out.numel() // _SUM_THREADS), 1, 1), _SUM_THREADS)
        count = np.uint64(out.numel())
        enqueue(add_up, device, shape, target, bias, out, count, parts, layer.outputs, int(relu))


def _few_rows(variant: Gemv, layer: Layer, operands: Operands, out: torch.Tensor, relu: bool) -> None:
    if layer.size != (1, 1) or layer.extent != (1, 1):
        raise UsageError(f"kernel {variant.key} is for linear layers; a convolution needs one with a tile")
    _, table, weight, _ = operands
    vector = weight.shape[0] * weight.shape[2] // len(table)
    kernel = loaded(FOLDERS, variant.file, variant.name, out.device.index)
    shape = Shape((-(-layer.outputs // GEMV_OUTPUTS), 1, 1), GEMV_THREADS)
    sizes = (len(weight), weight.shape[1], int(relu), layer.batch, layer.outputs, layer.channels)
    enqueue(kernel, out.device, shape, *operands, out, *sizes, vector.bit_length() - 1)


@torch.library.impl("headroom::gather", "CPU")  # type: ignore[untyped-decorator]
def _on_cpu(
    inputs: torch.Tensor,
    table: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    outputs: int,
    window: list[int],
    kernel: str,
    parts: int,
    relu: bool,
) -> torch.Tensor:
    layer = layer_of(inputs, outputs, window)
    kernel_of(kernel, layer.batch)
    dense = dense_weight(table, weight, layer).to(torch.float32)
    padded = functional.pad(inputs.to(torch.float32), layer.padding)
    out = functional.conv2d(padded, dense, bias, layer.stride)
    out = functional.relu(out) if relu else out
    return out.to(inputs.dtype).contiguous(memory_format=torch.channels_last)


def dense_weight(table: torch.Tensor, weight: torch.Tensor, layer: Layer) -> torch.Tensor:
    """(outputs, channels, extent): what the packed weights stand for, dilation as zeros between."""
    steps, padded, per_step = weight.shape
    vector = steps * per_step // len(table)
    rows, columns = layer.extent
    first, r, s = table & 0xFFFF, table >> 16 & 0xFF, table >> 24 & 0xFF
    channels = first[:, None] + torch.arange(vector, device=table.device)
    places = (channels * rows + r[:, None]) * columns + s[:, None]
    flat = weight.permute(1, 0, 2).reshape(padded, -1)[: layer.outputs]
    dense = torch.zeros(layer.outputs, layer.channels * rows * columns, dtype=weight.dtype, device=weight.device)
    # The last step's filling points to column 0 with weight zero: adding leaves it as it is.
    dense.index_add_(1, places.flatten().long(), flat)
    return dense.view(layer.outputs, layer.channels, rows, columns)


def _empty(like: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)
