"""Constant scales and shifts per channel: folded into the product before them, as deployment does.

BatchNorm at inference is one, and so are the additions and products with a constant per channel that exporters put
around it. A run of them is one scale and one shift; behind a product it becomes part of weights and bias. The fold
happens once, before anything is timed: what runs is the product with scaled weights and a bias.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headroom.graph.layer import Layer
from headroom.graph.work import Elementwise, Normalization
from headroom.measure.backends.geometry.frame import Frame, Shape
from headroom.measure.bench import Operands, UnsupportedError

if TYPE_CHECKING:
    from torch import Tensor

#: Added to the variance. Records do not hold it and no time depends on it; PyTorch's and ONNX's default.
EPSILON = 1e-5


@dataclass(frozen=True, slots=True)
class Affine:
    """A run of layers that multiply by and add constants, one per channel of ``channels`` or one for all."""

    layers: tuple[Layer, ...]
    channels: int

    def scale_and_shift(self, operands: Operands) -> tuple[Tensor, Tensor]:
        """``(s, t)`` in fp32, one value per channel, with ``run(x) = s * x + t``."""
        import torch

        first = operands.tensor(self.layers[0].weights[0].name)
        scale = torch.ones(self.channels, dtype=torch.float32, device=first.device)
        shift = torch.zeros_like(scale)
        for layer in self.layers:
            constants = [operands.tensor(spec.name).float().reshape(-1) for spec in layer.weights]
            if isinstance(layer.work, Normalization):
                factor, addend = batch_norm(constants)
                scale, shift = scale * factor, shift * factor + addend
            elif getattr(layer.work, "function", "") == "mul":
                scale, shift = scale * constants[0], shift * constants[0]
            else:
                shift = shift + constants[0]
        return scale, shift


def affine_run(layers: Sequence[Layer], frame: Frame, channel: Shape) -> Affine | None:
    """The longest run at the start of ``layers`` whose constants are one per channel, or ``None``.

    Args:
        frame: the view of the values that the run works on.
        channel: dimensions in that view of a vector with one value per channel.
    """
    length = 0
    while length < len(layers) and _is_affine(layers[length], frame, channel):
        length += 1
    return Affine(tuple(layers[:length]), math.prod(channel)) if length else None


def is_batch_norm(layer: Layer) -> bool:
    """A BatchNorm of constant statistics."""
    work = layer.work
    return isinstance(work, Normalization) and work.function == "batch" and work.group_elements == 0


def _is_affine(layer: Layer, frame: Frame, channel: Shape) -> bool:
    work, weights = layer.work, layer.weights
    if len(layer.inputs) != 1:
        return False
    if is_batch_norm(layer):
        own = (frame.shape[1], *[1] * (len(frame.shape) - 2)) if len(frame.shape) > 1 else ()
        return len(weights) in (2, 4) and bool(own) and frame.operand(own) == channel
    if not isinstance(work, Elementwise) or work.function not in ("mul", "add") or len(weights) != 1:
        return False
    if weights[0].elements == 1:
        return True
    try:
        return frame.operand(weights[0].shape) == channel
    except UnsupportedError:
        return False


def batch_norm(statistics: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Scale and shift of a BatchNorm, from its (scale, shift, mean, variance) or the last two alone."""
    *affine, mean, variance = statistics
    scale = (variance + EPSILON).rsqrt()
    if not affine:
        return scale, -mean * scale
    gamma, beta = affine
    return gamma * scale, beta - mean * gamma * scale


def scaled_filter(weight: Tensor, scale: Tensor, direction: str, groups: int) -> Tensor:
    """The filter that gives ``scale`` times the convolution, in the filter's own data type and order of memory.

    Output channels are the filter's dimension 0; for a transposed convolution (``dgrad``) they are the groups, of
    which dimension 0 holds the input channels, times dimension 1.
    """
    if direction == "forward":
        factors = scale.reshape(-1, *[1] * (weight.dim() - 1))
    else:
        per_group = scale.reshape(groups, 1, weight.shape[1])
        factors = per_group.expand(-1, weight.shape[0] // groups, -1)
        factors = factors.reshape(weight.shape[0], weight.shape[1], *[1] * (weight.dim() - 2))
    return (weight.float() * factors).to(weight.dtype)


def shifted_bias(bias: Tensor | None, scale: Tensor, shift: Tensor) -> Tensor:
    """The bias after the fold, in fp32."""
    return shift if bias is None else shift + bias.float().reshape(-1) * scale
