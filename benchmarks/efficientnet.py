"""EfficientNet (Tan and Le 2019) at any width and depth, as section 5.3 of the tail-effect paper scales it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

#: Of B0's stages: expansion, channels, blocks, stride, kernel.
_STAGES = (
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)  # fmt: skip
_STEM, _HEAD, _MULTIPLE = 32, 1280, 8


@dataclass(frozen=True)
class Size:
    """Multiples of B0's width and depth, and the side of the images in pixels."""

    width: float
    depth: float
    resolution: int


SIZES = {"b0": Size(1.0, 1.0, 224), "b1": Size(1.0, 1.1, 240), "b2": Size(1.1, 1.2, 260)}


def channels(count: float) -> int:
    """The nearest multiple of 8 that is not more than a tenth below."""
    near = max(_MULTIPLE, int(count + _MULTIPLE / 2) // _MULTIPLE * _MULTIPLE)
    return near if near >= 0.9 * count else near + _MULTIPLE


class _Squeeze(nn.Module):
    """Scales each channel by what a bottleneck of ``inner`` channels makes of all channels' means."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.expand(nn.functional.silu(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * scale.sigmoid()


class _Block(nn.Module):
    """Expansion, depthwise convolution, squeeze, projection; beside an addition where shapes allow it."""

    def __init__(self, before: int, after: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        inner = before * expansion
        layers = [*_normalised(before, inner, 1)] if expansion > 1 else []
        layers += [*_normalised(inner, inner, kernel, stride, inner), _Squeeze(inner, max(1, before // 4))]
        self.layers = nn.Sequential(*layers, nn.Conv2d(inner, after, 1, bias=False), nn.BatchNorm2d(after))
        self.adds = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layers(x)
        return found + x if self.adds else found


def _normalised(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.SiLU())


def efficientnet(size: Size, outputs: int = 1000) -> nn.Sequential:
    """The network of that width and depth; its resolution is that of its images."""
    before = channels(_STEM * size.width)
    layers: list[nn.Module] = [_normalised(3, before, 3, 2)]
    for expansion, width, repeats, stride, kernel in _STAGES:
        after = channels(width * size.width)
        for index in range(math.ceil(repeats * size.depth)):
            layers.append(_Block(before, after, expansion, stride if index == 0 else 1, kernel))
            before = after
    head = channels(_HEAD * size.width)
    pooled = [_normalised(before, head, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, *pooled, nn.Linear(head, outputs))


def build(base: Size, width: float, resolution: int) -> tuple[nn.Sequential, Tensor]:
    """``base`` with its width multiplied by ``width``, and one image of ``resolution``."""
    made = efficientnet(Size(base.width * width, base.depth, resolution))
    return made.eval(), torch.randn(1, 3, resolution, resolution)
