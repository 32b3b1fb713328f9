"""The layers whose staircases are measured: those of the tail-effect paper's figures, and of networks in use."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.change.widths.staircase.spec import parse_conv
from headroom.change.widths.staircase.study import Subject, subjects_of_conv
from headroom.graph.tensor import DataType


@dataclass(frozen=True)
class Case:
    """One layer in one data type; ``conv`` is what ``headroom staircase --conv`` takes."""

    name: str
    conv: str
    dtype: DataType = DataType.BF16
    step: int = 8

    @property
    def subject(self) -> Subject:
        (subject,) = subjects_of_conv(parse_conv(f"{self.conv},k=64:512:{self.step}"), self.dtype)
        return subject


_VGG = {"conv2": "c=64,h=32,w=32", "conv4": "c=128,h=16,w=16", "conv6": "c=256,h=8,w=8", "conv9": "c=512,h=4,w=4"}

CASES = (
    # The paper's figure 5, in the types of today's tensor cores and of its own GPU.
    Case("figure 5", "c=512,h=64,w=64"),
    Case("figure 5", "c=512,h=64,w=64", DataType.TF32),
    Case("figure 5", "c=512,h=64,w=64", DataType.FP32),
    # VGG16 on CIFAR-10 (figures 3 and 7), at the batch of table 2 and one at a time.
    *(Case(f"VGG16 {name}", f"{shape},n=128") for name, shape in _VGG.items()),
    *(Case(f"VGG16 {name}", f"{shape},n=128", DataType.FP32) for name, shape in _VGG.items()),
    Case("VGG16 conv2", "c=64,h=32,w=32,n=1"),
    Case("VGG16 conv6", "c=256,h=8,w=8,n=1"),
    # ResNet-50 on ImageNet (figure 3).
    Case("ResNet-50 layer1 3x3", "c=64,h=56,w=56,n=32"),
    Case("ResNet-50 layer2 3x3", "c=128,h=28,w=28,n=32"),
    Case("ResNet-50 layer3 3x3", "c=256,h=14,w=14,n=32"),
    Case("ResNet-50 layer4 3x3", "c=512,h=7,w=7,n=32"),
    Case("ResNet-50 layer1 1x1", "c=64,h=56,w=56,n=32,r=1,s=1"),
    Case("ResNet-50 layer3 1x1", "c=1024,h=14,w=14,n=32,r=1,s=1"),
    Case("ResNet-50 layer3 1x1", "c=1024,h=14,w=14,n=1,r=1,s=1"),
    Case("ResNet-50 layer3 3x3", "c=256,h=14,w=14,n=1"),
    # Figures 9, 10 and 11: batch, resolution, filter.
    Case("VGG16 CONV3, batch 16", "c=64,h=112,w=112,n=16"),
    Case("VGG16 CONV3, batch 64", "c=64,h=112,w=112,n=64"),
    Case("VGG16 CONV5, batch 1", "c=128,h=56,w=56,n=1"),
    Case("VGG16 CONV5, batch 64", "c=128,h=56,w=56,n=64"),
    Case("CONV5 at 512", "c=128,h=128,w=128,n=1"),
    Case("5x5", "c=512,h=32,w=32,r=5,s=5"),
    Case("1x1", "c=512,h=32,w=32,r=1,s=1"),
    Case("depthwise 3x3", "c=64,h=56,w=56,n=32,groups=c"),
    Case("stride 2", "c=256,h=28,w=28,n=32,stride=2"),
)
