"""The convolutions of the paper's four networks, as their own papers give them.

Written out because no model file at hand has them as published: torchvision's AlexNet is the one-tower variant,
its GoogLeNet has 3x3 filters in the 5x5 branch and its ResNet-152 strides on the 3x3; the ONNX zoo's AlexNet and
GoogLeNet round their pooling down (13x13 where Caffe's have 14x14). ``tests/predict/delta`` compares channels,
filters and groups with those files.
"""

from __future__ import annotations

from dataclasses import dataclass

from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Convolution

BATCH = 256  # section VI: "a mini-batch size of 256 is used for all evaluated layers"


@dataclass(frozen=True, slots=True)
class NamedConvolution:
    """A convolution and the name it goes by; ``count`` is how often the network has it."""

    name: str
    conv: Convolution
    count: int = 1


def convolution(
    channels: int, size: int, filters: int, kernel: int, stride: int = 1, pad: int | None = None, groups: int = 1,
    batch: int = BATCH,
) -> Convolution:  # fmt: skip
    """A square convolution; ``pad`` keeps the size at stride 1 unless it is given."""
    padding = kernel // 2 if pad is None else pad
    out = (size + 2 * padding - kernel) // stride + 1
    return Convolution(
        batch, channels, filters, (size, size), (out, out), (kernel, kernel), (stride, stride),
        ((padding, padding), (padding, padding)), (1, 1), groups,
    )  # fmt: skip


def alexnet() -> list[tuple[str, Convolution]]:
    """Krizhevsky et al. 2012, two towers as groups."""
    return [
        ("conv1", convolution(3, 227, 96, 11, 4, 0)),
        ("conv2", convolution(96, 27, 256, 5, groups=2)),
        ("conv3", convolution(256, 13, 384, 3)),
        ("conv4", convolution(384, 13, 384, 3, groups=2)),
        ("conv5", convolution(384, 13, 256, 3, groups=2)),
    ]


def vgg16() -> list[tuple[str, Convolution]]:
    """Simonyan and Zisserman 2014, configuration D."""
    layers, channels, size = [], 3, 224
    for stage, (filters, repeats) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        for index in range(1, repeats + 1):
            layers.append((f"conv{stage}_{index}", convolution(channels, size, filters, 3)))
            channels = filters
        size //= 2
    return layers


#: GoogLeNet's modules (Szegedy et al. 2015, Table 1): name, size, channels in, then #1x1, #3x3 reduce, #3x3,
#: #5x5 reduce, #5x5, pool projection.
_INCEPTION = (
    ("3a", 28, 192, (64, 96, 128, 16, 32, 32)),
    ("3b", 28, 256, (128, 128, 192, 32, 96, 64)),
    ("4a", 14, 480, (192, 96, 208, 16, 48, 64)),
    ("4b", 14, 512, (160, 112, 224, 24, 64, 64)),
    ("4c", 14, 512, (128, 128, 256, 24, 64, 64)),
    ("4d", 14, 512, (112, 144, 288, 32, 64, 64)),
    ("4e", 14, 528, (256, 160, 320, 32, 128, 128)),
    ("5a", 7, 832, (256, 160, 320, 32, 128, 128)),
    ("5b", 7, 832, (384, 192, 384, 48, 128, 128)),
)


def googlenet() -> list[tuple[str, Convolution]]:
    """Szegedy et al. 2015."""
    layers = [
        ("conv1", convolution(3, 224, 64, 7, 2)),
        ("conv2_reduce", convolution(64, 56, 64, 1)),
        ("conv2", convolution(64, 56, 192, 3)),
    ]
    for name, size, channels, (one, reduce3, three, reduce5, five, pool) in _INCEPTION:
        layers += [
            (f"{name}_1x1", convolution(channels, size, one, 1)),
            (f"{name}_3x3_reduce", convolution(channels, size, reduce3, 1)),
            (f"{name}_3x3", convolution(reduce3, size, three, 3)),
            (f"{name}_5x5_reduce", convolution(channels, size, reduce5, 1)),
            (f"{name}_5x5", convolution(reduce5, size, five, 5)),
            (f"{name}_pool", convolution(channels, size, pool, 1)),
        ]
    return layers


def resnet152() -> list[tuple[str, Convolution]]:
    """He et al. 2016: 3, 8, 36 and 3 bottlenecks, the stride on the first 1x1."""
    layers = [("conv1", convolution(3, 224, 64, 7, 2))]
    channels, size = 64, 56
    for stage, (width, blocks) in enumerate(((64, 3), (128, 8), (256, 36), (512, 3)), 2):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 2 and block == 1 else 1
            name = f"conv{stage}_{block}"
            layers.append((f"{name}_a", convolution(channels, size, width, 1, stride)))
            if block == 1:
                layers.append((f"{name}_shortcut", convolution(channels, size, 4 * width, 1, stride)))
            size //= stride
            layers.append((f"{name}_b", convolution(width, size, width, 3)))
            layers.append((f"{name}_c", convolution(width, size, 4 * width, 1)))
            channels = 4 * width
    return layers


NETWORKS = {"AlexNet": alexnet, "VGG16": vgg16, "GoogLeNet": googlenet, "ResNet-152": resnet152}


def unique(layers: list[tuple[str, Convolution]]) -> tuple[NamedConvolution, ...]:
    """Each configuration once, under its first name (section VI: "we show the results on the unique subset")."""
    counts: dict[Convolution, int] = {}
    names: dict[Convolution, str] = {}
    for name, conv in layers:
        counts[conv] = counts.get(conv, 0) + 1
        names.setdefault(conv, name)
    return tuple(NamedConvolution(names[conv], conv, count) for conv, count in counts.items())


def graph_of(name: str, layers: list[tuple[str, Convolution]]) -> Graph:
    """The convolutions as a model, each reading a tensor of its own: the paper looks at convolutions alone."""
    return Graph(name, tuple(layer_of(name, conv) for name, conv in layers), (), (), layers[0][1].batch)


def layer_of(name: str, conv: Convolution) -> Layer:
    """A convolution as a layer of its own."""
    image = TensorSpec(f"{name}.in", (conv.batch, conv.in_channels, *conv.in_size))
    out = TensorSpec(f"{name}.out", (conv.batch, conv.out_channels, *conv.out_size))
    weight = TensorSpec(f"{name}.weight", (conv.out_channels, conv.in_channels // conv.groups, *conv.kernel))
    return Layer(name, "Conv", conv, (image,), (weight,), (out,))
