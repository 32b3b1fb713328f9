"""Running the convolution with fission on a GPU. Only code that already uses CUDA imports it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from headroom.change.fission.kernels.convolution_variants import FILE, SUM_PARTS, SUM_THREADS, ConvolutionVariant
from headroom.change.fission.kernels.convolutions import Convolution
from headroom.change.fission.kernels.gemm_gpu import GemmOperand
from headroom.change.fission.kernels.gemm_variants import Side
from headroom.change.fission.kernels.sources import FOLDERS
from headroom.change.fission.kernels.window_table import load_words, pair, weights_side
from headroom.change.kernels.launch import Shape, enqueue, loaded, sms
from headroom.errors import GpuError, UsageError


@dataclass(frozen=True)
class Operands:
    """What a convolution reads, in device memory.

    Attributes:
        images: NHWC as the variant's left side wants it; ``image_words`` of 32 bits from one image to the next.
        weights: (outputs, words), rows of (r, s, channels of a group).
        image_scales, weight_scales: one per image, one per output, or ``None``.
    """

    images: torch.Tensor
    image_words: int
    table: torch.Tensor
    weights: torch.Tensor
    image_scales: torch.Tensor | None = None
    weight_scales: torch.Tensor | None = None
    bias: torch.Tensor | None = None


def operands_of(
    convolution: Convolution,
    variant: ConvolutionVariant,
    images: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
) -> Operands:
    """Images and weight packed as the variant wants them.

    Args:
        images: (batch, channels, height, width) in fp32, on a GPU; ``weight``: (outputs, channels / groups, r, s).
    """
    multiple, groups = variant.load_values, convolution.groups
    nhwc = images.permute(0, 2, 3, 1).reshape(*images.shape[:1], *images.shape[2:], groups, -1)
    left = GemmOperand(_filled(nhwc, multiple).reshape(len(images), -1), variant.left)
    right = GemmOperand(_filled(weight.permute(0, 2, 3, 1), multiple).reshape(len(weight), -1), variant.right)
    table = torch.from_numpy(convolution.table(variant).view("int32")).to(images.device)
    return Operands(left.data, left.data.shape[1], table, right.data, left.scales, right.scales, bias)


def run_convolution(
    convolution: Convolution,
    variant: ConvolutionVariant,
    operands: Operands,
    outputs: torch.Tensor,
    *,
    relu: bool = False,
    parts: int | None = None,
) -> None:
    """Enqueue the convolution on the current stream; ``outputs`` is NHWC in fp32.

    Args:
        parts: of K, summed in their order; as many as fill the GPU if not given.
    """
    device, gpu = outputs.device, outputs.device.index
    parts = parts or convolution.usual_parts(variant, sms(device))
    ends = (operands.image_scales, operands.weight_scales, operands.bias)
    target = outputs if parts == 1 else torch.empty(parts * outputs.numel(), device=device)
    kernel = loaded(FOLDERS, FILE, variant.entry, gpu, variant.shared_bytes, variant.macros)
    shape = Shape(convolution.grid(variant, parts), variant.threads, variant.shared_bytes)
    weight_loads = operands.weights.shape[1] // 4
    sizes = convolution.arguments(variant, operands.image_words, weight_loads, parts)
    read = (operands.images, operands.table, operands.weights)
    enqueue(kernel, device, shape, *read, *ends, target, *sizes, int(relu))
    if parts > 1:
        add_up = loaded(FOLDERS, FILE, SUM_PARTS, gpu, 0, variant.macros)
        shape = Shape((-(-outputs.numel() // SUM_THREADS), 1, 1), SUM_THREADS)
        rows, columns = convolution.size_out
        sizes = (convolution.pixels, convolution.outputs, parts, rows * columns)
        enqueue(add_up, device, shape, target, *ends, outputs, *sizes, int(relu))


def run_packed(layer: Any, inputs: torch.Tensor) -> torch.Tensor | None:
    """The packed layer's outputs in strict fp32, or ``None`` where no kernel of ours is for these inputs.

    Args:
        layer: a :class:`~headroom.change.fission.modules.PackedConv2d` on the inputs' device.
        inputs: (batch, channels, height, width).
    """
    if inputs.dtype is not torch.float32 or torch.backends.cudnn.allow_tf32 or inputs.dim() != 4 or layer.table is None:
        return None
    convolution = convolution_of(layer, inputs)
    if convolution is None:
        return None
    side, words = weights_side(layer.form), load_words(layer.shape[1])
    assert side is not None, "a layer with a table has one"
    variant = ConvolutionVariant(Side(), side, convolution.usual_tile(), words)
    if not _compiles(variant, inputs.device.index):
        return None
    images = inputs.contiguous(memory_format=torch.channels_last)
    if images.data_ptr() % 16:
        images = images.clone(memory_format=torch.channels_last)  # a view into the midst of a tensor: loads would fault
    operands = Operands(
        images, images[0].numel(), layer.table, layer.words, weight_scales=layer.scales, bias=layer.bias
    )
    shape = (convolution.batch, convolution.outputs, *convolution.size_out)
    outputs = torch.empty(shape, device=inputs.device, memory_format=torch.channels_last)
    run_convolution(convolution, variant, operands, outputs, relu=layer.activation == "relu")
    return outputs


def convolution_of(layer: Any, inputs: torch.Tensor) -> Convolution | None:
    """The layer's geometry; ``None`` where it does not fit the inputs, or is uneven or too large for the kernel."""
    batch, channels, height, width = inputs.shape
    outputs, of_a_group, r, s = layer.shape
    groups = layer.places.get("groups", 1)
    dilation = pair(layer.places.get("dilation", 1))
    padding = _padding(layer.places.get("padding", 0), (r, s), dilation)
    if padding is None or channels != of_a_group * groups:
        return None
    stride = pair(layer.places.get("stride", 1))
    try:
        return Convolution(batch, channels, (height, width), outputs, (r, s), stride, padding, dilation, groups)
    except UsageError:
        return None


def _padding(given: Any, window: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int] | None:
    """Zeros on either side; ``None`` where ``same`` would be uneven."""
    if given == "valid":
        return 0, 0
    if given != "same":
        return pair(given)
    both = [(size - 1) * apart for size, apart in zip(window, dilation, strict=True)]
    return None if any(each % 2 for each in both) else (both[0] // 2, both[1] // 2)


@cache
def _compiles(variant: ConvolutionVariant, gpu: int) -> bool:
    """Whether there is NVRTC, and a GPU that is young enough; the layer runs without."""
    try:
        loaded(FOLDERS, FILE, variant.entry, gpu, variant.shared_bytes, variant.macros)
    except GpuError:
        return False
    return True


def _filled(values: torch.Tensor, multiple: int) -> torch.Tensor:
    """The last dimension filled up with zeros."""
    return torch.nn.functional.pad(values, (0, -values.shape[-1] % multiple))
