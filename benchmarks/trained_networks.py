"""The networks that are trained for the published figures, with the sizes that papers give for them.

What is not in ``cifar_networks.py``: ResNet56 at the two soft-filter-pruning sizes of the tail-effect paper's Table 2,
LeNet-5 and CifarNet as Caffe ships them, AlexNet for 32x32 and for 224x224 images, a ResNet-18 that shows how much the
images allow, and EfficientNet-B0 on images that are enlarged.

Table 2 gives of soft filter pruning 0.53 M parameters at 68.8 M multiply-adds and 0.45 M at 53.1 M, and no widths.
Here the streams stay 16, 32 and 64 wide, because every block of a stage adds to one, and each stage has one width
inside its blocks. Of all such widths those were taken that give both figures as printed; where two do (8, 15, 43 and
9, 13, 43), those that are cut more evenly over the stages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from cifar_networks import HRANK_PLUS_VGG16, IMAGE, Resnet, Vgg16
from efficientnet import Size, efficientnet

VGG16 = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
STREAMS = (16, 32, 64)

GREY, LARGE = (1, 28, 28), (3, 224, 224)

#: AlexNet's outputs for the applications of the DeftNN paper (its IMC, OXF, FLS and SOS).
ALEXNET_OUTPUTS = (1000, 102, 20, 5)

#: EfficientNet-B0 by multiples of its width and sides of the enlarged images, the smallest first.
ENLARGED = ((1.0, 64), (1.5, 64), (2.0, 64), (2.0, 96))


def resnet56(streams: tuple[int, int, int, int], inners: tuple[int, int, int]) -> Resnet:
    """Stem and stages as wide as ``streams``; all blocks of a stage as wide inside."""
    return Resnet(streams, [width for width in inners for _ in range(9)])


def cifarnet() -> nn.Sequential:
    """Caffe's "quick" network for CIFAR-10: three convolutions of 5x5 and two linear layers; its pooling rounds up."""
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 5, padding=2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.ReLU()),
        *(nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(), nn.AvgPool2d(3, 2, ceil_mode=True)),
        *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.AvgPool2d(3, 2, ceil_mode=True)),
        *(nn.Flatten(), nn.Linear(1024, 64), nn.Linear(64, 10)),
    )


def lenet() -> nn.Sequential:
    """LeNet-5 as Caffe ships it: two convolutions of 5x5 and two linear layers: 20, 50, 500 and 10 wide."""
    return nn.Sequential(
        *(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10)),
    )


def alexnet_cifar() -> nn.Sequential:
    """AlexNet's five convolutions and three linear layers for 32x32 images: 3x3 filters, the first of stride 2."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 192, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(), nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Dropout(), nn.Linear(1024, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()),
        nn.Linear(4096, 10),
    )


def alexnet(outputs: int = 1000) -> nn.Sequential:
    """AlexNet for 224x224 images in the form of one column, whose convolutions have no groups."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten()),
        *(nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()),
        nn.Linear(4096, outputs),
    )


class _WideBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut that is a 1x1 convolution where shapes change."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after))
        changed = [nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)]
        self.shortcut = nn.Sequential(*(changed if stride > 1 or before != after else []))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.second(self.first(x)) + self.shortcut(x))


def resnet18() -> nn.Sequential:
    """ResNet-18 in the form for 32x32 images: its first convolution is 3x3 of stride 1, and nothing is pooled after.

    On the original CIFAR-10 it is known for about 95 %.
    """
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    before = 64
    for after, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [_WideBlock(before, after, stride), _WideBlock(after, after, 1)]
        before = after
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def enlarged_efficientnet(width: float, side: int) -> nn.Sequential:
    """EfficientNet-B0 at a multiple of its width, on images enlarged to ``side`` pixels: at 32 it ends at one pixel."""
    enlarge = nn.Upsample(size=(side, side), mode="bilinear", align_corners=False)
    return nn.Sequential(enlarge, *efficientnet(Size(width, 1.0, side), outputs=10))


@dataclass(frozen=True)
class Published:
    """What a paper or a framework says of a network, in millions, as printed; ``None`` where it says nothing."""

    parameters_m: float | None
    macs_m: float | None
    source: str


@dataclass(frozen=True)
class Trained:
    """A network with the data that it is for."""

    build: Callable[[], nn.Module]
    data: str
    image: tuple[int, int, int] = IMAGE
    published: Published | None = None


_TABLE = "tail-effect paper, Table 2"

NETWORKS = {
    "vgg16": Trained(lambda: Vgg16(VGG16), "cifar10"),
    "vgg16-hrank": Trained(lambda: Vgg16(HRANK_PLUS_VGG16), "cifar10", published=Published(1.90, 67.0, _TABLE)),
    "resnet56": Trained(
        lambda: resnet56((16, *STREAMS), STREAMS), "cifar10", published=Published(0.85, 125.49, "HRank's README")
    ),
    "resnet56-hrank": Trained(
        lambda: resnet56((16, 13, 27, 64), (9, 19, 38)), "cifar10", published=Published(0.48, 65.9, _TABLE)
    ),
    "resnet56-hrank-024": Trained(
        lambda: resnet56((16, 9, 19, 64), (8, 12, 19)),
        "cifar10",
        published=Published(0.24, None, "tail-effect paper, Table 5"),
    ),
    "resnet56-soft-1": Trained(
        lambda: resnet56((16, *STREAMS), (8, 15, 43)), "cifar10", published=Published(0.53, 68.8, _TABLE)
    ),
    "resnet56-soft-2": Trained(
        lambda: resnet56((16, *STREAMS), (5, 12, 37)), "cifar10", published=Published(0.45, 53.1, _TABLE)
    ),
    "resnet18": Trained(resnet18, "cifar10"),
    "resnet18-again": Trained(resnet18, "cifar10-again"),
    **{
        f"efficientnet-{width}-{side}": Trained(
            lambda width=width, side=side: enlarged_efficientnet(width, side), "cifar10"
        )
        for width, side in ENLARGED
    },
    "cifarnet": Trained(cifarnet, "cifar10", published=Published(0.146, 12.35, "Caffe's cifar10_quick")),
    "alexnet-cifar": Trained(alexnet_cifar, "cifar10"),
    "lenet": Trained(lenet, "fashion-mnist", GREY, Published(0.431, 2.293, "Caffe's lenet")),
    **{
        f"alexnet-{outputs}": Trained(
            lambda outputs=outputs: alexnet(outputs),
            "random",
            LARGE,
            Published(61.1, 714.2, "torchvision's alexnet") if outputs == 1000 else None,
        )
        for outputs in ALEXNET_OUTPUTS
    },
}


def macs_and_parameters(network: nn.Module, image: tuple[int, int, int]) -> tuple[int, int]:
    """Multiply-adds of convolutions and linear layers for one image, and all parameters."""
    macs = 0

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal macs
        weight: torch.Tensor = getattr(layer, "weight")  # noqa: B009  # a plain access would be a tensor or a module
        macs += weight[0].numel() * output[0].numel()

    # Whatever multiplies by a matrix: slim layers too. Normalisations have one scale per channel.
    layers = [layer for layer in network.modules() if getattr(getattr(layer, "weight", None), "ndim", 0) > 1]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    modes = {part: part.training for part in network.modules()}
    device = next(network.parameters()).device
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *image, device=device))
    finally:
        for hook in hooks:
            hook.remove()
        for part, was in modes.items():
            part.training = was
    return macs, sum(each.numel() for each in network.parameters())
