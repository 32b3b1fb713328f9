"""The networks that are trained for the published figures, with the sizes that papers give for them.

What is not in ``cifar_networks.py``: ResNet56 at the two soft-filter-pruning sizes of the tail-effect paper's Table 2,
LeNet-5 and CifarNet as Caffe ships them, AlexNet for 32x32 and for 224x224 images.

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

VGG16 = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
STREAMS = (16, 32, 64)

GREY, LARGE = (1, 28, 28), (3, 224, 224)

#: AlexNet's outputs for the applications of the DeftNN paper (its IMC, OXF, FLS and SOS).
ALEXNET_OUTPUTS = (1000, 102, 20, 5)


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


@dataclass(frozen=True)
class Size:
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
    published: Size | None = None


_TABLE = "tail-effect paper, Table 2"

NETWORKS = {
    "vgg16": Trained(lambda: Vgg16(VGG16), "cifar10"),
    "vgg16-hrank": Trained(lambda: Vgg16(HRANK_PLUS_VGG16), "cifar10", published=Size(1.90, 67.0, _TABLE)),
    "resnet56": Trained(
        lambda: resnet56((16, *STREAMS), STREAMS), "cifar10", published=Size(0.85, 125.49, "HRank's README")
    ),
    "resnet56-hrank": Trained(
        lambda: resnet56((16, 13, 27, 64), (9, 19, 38)), "cifar10", published=Size(0.48, 65.9, _TABLE)
    ),
    "resnet56-hrank-024": Trained(
        lambda: resnet56((16, 9, 19, 64), (8, 12, 19)),
        "cifar10",
        published=Size(0.24, None, "tail-effect paper, Table 5"),
    ),
    "resnet56-soft-1": Trained(
        lambda: resnet56((16, *STREAMS), (8, 15, 43)), "cifar10", published=Size(0.53, 68.8, _TABLE)
    ),
    "resnet56-soft-2": Trained(
        lambda: resnet56((16, *STREAMS), (5, 12, 37)), "cifar10", published=Size(0.45, 53.1, _TABLE)
    ),
    "cifarnet": Trained(cifarnet, "cifar10", published=Size(0.146, 12.35, "Caffe's cifar10_quick")),
    "alexnet-cifar": Trained(alexnet_cifar, "cifar10"),
    "lenet": Trained(lenet, "fashion-mnist", GREY, Size(0.431, 2.293, "Caffe's lenet")),
    **{
        f"alexnet-{outputs}": Trained(
            lambda outputs=outputs: alexnet(outputs),
            "random",
            LARGE,
            Size(61.1, 714.2, "torchvision's alexnet") if outputs == 1000 else None,
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
