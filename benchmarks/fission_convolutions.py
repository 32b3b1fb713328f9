"""The convolutions of the DeftNN paper's networks, and what bounds them with fission."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headroom.change.fission.kernels.convolution_variants import ConvolutionVariant
from headroom.change.fission.kernels.convolutions import Convolution, variant_for
from headroom.change.fission.kernels.gemm_variants import Side, Where, figure_11
from headroom.predict.packed import SlotBound, convolution_bound, unpacking_of
from synapse_layers import LAYERS, PaperLayer

BATCHES = (1, 32, 128)
#: Formats that say most first: what little GPU time there is ends somewhere in the list.
FIRST = ("library", "no fission", "Deft-16Q", "Deft-8, 4 exponent bits", "weights in int8")
NETWORKS = ("AlexNet", "VGG16 at 224x224", "CifarNet", "LeNet-5")


@dataclass(frozen=True)
class Place:
    """A layer, and how many of its network are alike."""

    layer: PaperLayer
    count: int = 1

    @property
    def name(self) -> str:
        return f"{self.layer.network} {self.layer.name}"

    def at(self, batch: int) -> Convolution:
        layer = self.layer
        return Convolution(
            batch,
            layer.channels,
            (layer.size,) * 2,
            layer.outputs,
            (layer.kernel,) * 2,
            (layer.stride,) * 2,
            (layer.padding,) * 2,
        )


def _vgg16() -> list[Place]:
    shapes = (
        ("conv1_1", 3, 64, 224, 1), ("conv1_2", 64, 64, 224, 1), ("conv2_1", 64, 128, 112, 1),
        ("conv2_2", 128, 128, 112, 1), ("conv3_1", 128, 256, 56, 1), ("conv3_2", 256, 256, 56, 2),
        ("conv4_1", 256, 512, 28, 1), ("conv4_2", 512, 512, 28, 2), ("conv5_1", 512, 512, 14, 3),
    )  # fmt: skip
    return [
        Place(PaperLayer("VGG16 at 224x224", name, channels, outputs, size, 3, 1, 1), count)
        for name, channels, outputs, size, count in shapes
    ]


def places() -> list[Place]:
    """Every convolution of the networks once."""
    small = [Place(each) for each in LAYERS if each.network in NETWORKS and each.kernel > 1]
    return [*(each for each in small if each.layer.network != "VGG16 at 224x224"), *_vgg16()]


def ways() -> tuple[str, ...]:
    """The library and every variant of Figure 11, the most telling first."""
    return (*FIRST, *(name for name in figure_11() if name not in FIRST))


def instance(convolution: Convolution, how: str, tile_n: int | None = None) -> ConvolutionVariant:
    """The kernel of that row."""
    sides = figure_11()[how]
    return variant_for(convolution, sides.left, sides.right, tile_n)


def bound(gpu: Any, convolution: Convolution, how: str) -> SlotBound:
    """What the kernel cannot beat, whichever of its tiles it has."""
    variant = instance(convolution, how)
    channels = convolution.padded_channels(variant.load_values) * convolution.groups
    return convolution_bound(
        gpu,
        unpacking_of(variant.left.form),
        unpacking_of(variant.right.form),
        pixels=convolution.pixels,
        outputs=convolution.outputs,
        k=convolution.k(variant.load_values),
        groups=convolution.groups,
        image_values=convolution.batch * convolution.size[0] * convolution.size[1] * channels,
        device_bits=(device_bits(variant.left), device_bits(variant.right)),
        tile_n=variant.tile_n,
        near=variant.left.where is not Where.AHEAD,
    )


def device_bits(side: Side) -> int:
    """Of a value in device memory."""
    return 32 if side.where is Where.FUSED else side.bits
