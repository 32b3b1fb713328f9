"""The CIFAR-10 networks of ``hrank_widths.json`` as PyTorch modules: original widths and what pruning kept of them.

VGG16 has 13 3x3 convolutions with BatchNorm on 32x32 images, then Linear 512-512 and 512-10. A ResNet of depth
6n + 2 has three stages of n basic blocks; where a stage begins, the shortcut takes every second pixel and fills the
new channels with zeros ("option A"). Of HRank's widths only those inside a block are applied there, because all blocks
of a stage add to one stream.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

#: Output widths that HRankPlus keeps of VGG16 (1.90 M parameters) and of ResNet56 (0.48 M and 0.24 M).
HRANK_PLUS_VGG16 = (35, 35, 70, 70, 140, 140, 140, 112, 112, 112, 112, 112, 512)

#: A pooling stands before these convolutions of VGG16.
_POOLED = frozenset({2, 4, 7, 10})

IMAGE = (3, 32, 32)


class Vgg16(nn.Module):
    """VGG16 for 32x32 images with the given 13 output widths."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(zip((IMAGE[0], *widths[:-1]), widths, strict=True)):
            if index in _POOLED:
                layers.append(nn.MaxPool2d(2))
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.AvgPool2d(2), nn.Flatten())
        self.classifier = nn.Sequential(nn.Linear(widths[-1], 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(self.features(images))
        return logits


class _Block(nn.Module):
    """Two 3x3 convolutions beside an option-A shortcut."""

    def __init__(self, before: int, inner: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, inner, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride = stride
        self.missing = after - before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1 or self.missing:
            below = self.missing // 2
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, below, self.missing - below))
        return functional.relu(out + x)


class Resnet(nn.Module):
    """A CIFAR ResNet: ``streams`` are the widths of stem and stages, ``inners`` those inside each block, in order."""

    def __init__(self, streams: Sequence[int], inners: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(IMAGE[0], streams[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(streams[0])
        per_stage = len(inners) // 3
        blocks = []
        width = streams[0]
        for index, inner in enumerate(inners):
            stage = index // per_stage
            stride = 2 if stage and index % per_stage == 0 else 1
            blocks.append(_Block(width, inner, streams[stage + 1], stride))
            width = streams[stage + 1]
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(width, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.blocks(functional.relu(self.bn1(self.conv1(images))))
        logits: torch.Tensor = self.linear(features.mean((2, 3)))
        return logits


def cifar_networks(data: Path) -> dict[str, Callable[[], nn.Module]]:
    """Every network by name; ``data`` holds ``hrank_widths.json``. The streams of the originals are 16, 32 and 64."""
    widths = json.loads((data / "hrank_widths.json").read_text())
    vgg = widths["vgg16_bn_cifar10"]
    networks: dict[str, Callable[[], nn.Module]] = {
        "vgg16_cifar": lambda: Vgg16(vgg["widths_full"]),
        "vgg16_cifar_hrank": lambda: Vgg16(vgg["widths_kept"]),
        "vgg16_cifar_hrank_plus": lambda: Vgg16(HRANK_PLUS_VGG16),
        "resnet56_cifar_hrank_plus_048": lambda: Resnet((16, 13, 27, 64), [9] * 9 + [19] * 9 + [38] * 9),
        "resnet56_cifar_hrank_plus_024": lambda: Resnet((16, 9, 19, 64), [8] * 9 + [12] * 9 + [19] * 9),
    }
    for depth in (56, 110):
        found = widths[f"resnet{depth}_cifar10"]
        for suffix, key in (("", "widths_full"), ("_hrank", "widths_kept")):
            inners = found[key][1::2]
            networks[f"resnet{depth}_cifar{suffix}"] = lambda inners=inners: Resnet((16, 16, 32, 64), inners)
    for rate, kept in widths["soft_filter_pruning"].items():
        if rate.startswith("resnet56"):
            a, b, c = kept["16"], kept["32"], kept["64"]
            networks[f"resnet56_cifar_soft_{rate[-3:].replace('.', '')}"] = lambda a=a, b=b, c=c: Resnet(
                (16, 16, 32, 64), [a] * 9 + [b] * 9 + [c] * 9
            )
    return networks
