"""The layers of the DeftNN paper's networks: dense, with half the channels, and with half the columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Convolution, Elementwise, Matmul, Work

#: Channels that a run of retained columns has, and to which the channel grain rounds.
RUN = 8


@dataclass(frozen=True)
class PaperLayer:
    """A convolution or, with images of 1 x 1, a linear layer, with bias and, unless it is the last, ReLU."""

    network: str
    name: str
    channels: int
    outputs: int
    size: int = 1
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    relu: bool = True

    @property
    def linear(self) -> bool:
        return self.size == 1 and self.kernel == 1

    @property
    def size_out(self) -> int:
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def columns(self) -> int:
        """K of the GEMM."""
        return self.channels * self.kernel**2

    def with_channels(self, share: float) -> PaperLayer:
        """At the channel grain: an ordinary smaller layer."""
        return replace(self, channels=max(1, round(share * self.channels / RUN) * RUN or self.channels // 2))

    def chain(self, batch: int) -> Chain:
        """The dense layer with its bias and ReLU."""
        anchor: Work
        if self.linear:
            shapes = (batch, self.channels), (self.outputs, self.channels), (batch, self.outputs)
            anchor = Matmul(batch, self.outputs, self.channels)
        else:
            inside, outside = (self.size,) * 2, (self.size_out,) * 2
            weight = (self.outputs, self.channels, self.kernel, self.kernel)
            shapes = (batch, self.channels, *inside), weight, (batch, self.outputs, *outside)
            anchor = Convolution(
                *(batch, self.channels, self.outputs, inside, outside, (self.kernel,) * 2, (self.stride,) * 2),
                *(((self.padding,) * 2,) * 2, (1, 1)),
            )
        x, w, y = (TensorSpec(name, shape) for name, shape in zip("xwy", shapes, strict=True))
        layers = [Layer("", "", anchor, (x,), (w, TensorSpec("b", (self.outputs,))), (y,))]
        if self.relu:
            work = Elementwise("relu", int(np.prod(y.shape)), 1, True)
            layers.append(Layer("", "", work, (y,), (), (TensorSpec("z", y.shape),)))
        return Chain.of(layers)

    def slim(self, share: float, runs: bool) -> Any:
        """The layer with random columns or, with ``runs``, random runs of :data:`RUN` channels; loads PyTorch."""
        import torch

        from headroom.change.synapses.modules import SlimConv2d, SlimLinear

        retained = torch.from_numpy(self.retained(share, runs))
        slim = (
            SlimLinear(self.channels, len(retained), self.outputs)
            if self.linear
            else SlimConv2d(
                (self.outputs, self.channels, self.kernel, self.kernel), len(retained),
                stride=(self.stride,) * 2, padding=(self.padding,) * 4,
            )
        )  # fmt: skip
        with torch.no_grad():
            slim.retained.copy_(retained)
            slim.weight.normal_(0, len(retained) ** -0.5)
        return slim

    def retained(self, share: float, runs: bool) -> np.ndarray[Any, np.dtype[np.intp]]:
        """Numbers along (channel, r, s)."""
        random, places = np.random.default_rng(0), self.kernel**2
        if not runs or self.channels % RUN:
            return np.sort(random.permutation(self.columns)[: max(1, round(share * self.columns))])
        groups = self.channels // RUN * places
        kept = random.permutation(groups)[: max(1, round(share * groups))]
        channels = kept // places * RUN + np.arange(RUN)[:, None]
        return np.sort((channels * places + kept % places).ravel())


def _vgg16() -> list[PaperLayer]:
    widths = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
    sizes = (32, 32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2)
    pairs = zip((3, *widths[:-1]), widths, sizes, strict=True)
    layers = [PaperLayer("VGG16", f"conv{i}", c, k, size, 3, 1, 1) for i, (c, k, size) in enumerate(pairs, start=1)]
    return [*layers, PaperLayer("VGG16", "fc1", 512, 512), PaperLayer("VGG16", "fc2", 512, 10, relu=False)]


LAYERS = (
    PaperLayer("LeNet-5", "conv1", 1, 6, 28, 5, 1, 2),
    PaperLayer("LeNet-5", "conv2", 6, 16, 14, 5),
    PaperLayer("LeNet-5", "fc1", 400, 120),
    PaperLayer("LeNet-5", "fc2", 120, 84),
    PaperLayer("CifarNet", "conv1", 3, 32, 32, 5, 1, 2),
    PaperLayer("CifarNet", "conv2", 32, 32, 16, 5, 1, 2),
    PaperLayer("CifarNet", "conv3", 32, 64, 8, 5, 1, 2),
    PaperLayer("CifarNet", "fc", 1024, 10, relu=False),
    PaperLayer("AlexNet", "conv1", 3, 64, 224, 11, 4, 2),
    PaperLayer("AlexNet", "conv2", 64, 192, 27, 5, 1, 2),
    PaperLayer("AlexNet", "conv3", 192, 384, 13, 3, 1, 1),
    PaperLayer("AlexNet", "conv4", 384, 256, 13, 3, 1, 1),
    PaperLayer("AlexNet", "conv5", 256, 256, 13, 3, 1, 1),
    PaperLayer("AlexNet", "fc1", 9216, 4096),
    PaperLayer("AlexNet", "fc2", 4096, 4096),
    PaperLayer("AlexNet", "fc3", 4096, 1000, relu=False),
    *_vgg16(),
    PaperLayer("VGG16 at 224x224", "conv2", 64, 64, 224, 3, 1, 1),
    PaperLayer("VGG16 at 224x224", "conv5", 128, 256, 56, 3, 1, 1),
    PaperLayer("VGG16 at 224x224", "conv9", 512, 512, 28, 3, 1, 1),
    PaperLayer("VGG16 at 224x224", "conv11", 512, 512, 14, 3, 1, 1),
    PaperLayer("VGG16 at 224x224", "fc1", 25088, 4096),
)
