"""Slim layers that run our kernels. Importing it loads PyTorch, nothing of CUDA.

They are made of a :class:`~headroom.change.synapses.modules.SlimLinear` or
:class:`~headroom.change.synapses.modules.SlimConv2d`, whose weights they pack once, and have no gradient. What is saved
is the slim layer; its packed form is made anew where it is loaded.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import headroom.change.synapses.kernels.operators  # noqa: F401 - registers the operator
from headroom.change.synapses.kernels.pack import Packed, pack, usable_vectors
from headroom.change.synapses.kernels.variants import Arithmetic, Gather, Gemv, gathers
from headroom.change.synapses.modules import SlimConv2d, SlimLinear
from headroom.change.synapses.units import as_numpy


class GatheredLayer(nn.Module):  # type: ignore[misc]  # PyTorch is not type-checked here
    """A slim layer by one of our kernels, with bias and, if asked, ReLU in it.

    Args:
        slim: the layer.
        kernel: a variant's ``key``; see :func:`kernels_for`.
        parts: into how many K is cut, 0 for as many as fill the GPU.
        relu: whether a ReLU follows, which the kernel then applies.

    Raises:
        UsageError: the kernel's vectors do not fit the layer's channels.
    """

    table: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None

    def __init__(
        self, slim: SlimLinear | SlimConv2d, kernel: Gather | Gemv, *, parts: int = 0, relu: bool = False
    ) -> None:
        super().__init__()
        vector = kernel.vector if isinstance(kernel, Gather) else _widest(slim, kernel.arithmetic)
        packed = packed_layer(slim, kernel.arithmetic, vector)
        device = slim.weight.device
        self.linear, self.kernel, self.parts, self.relu = isinstance(slim, SlimLinear), kernel.key, parts, relu
        self.outputs, self.window = packed.outputs, window_of(slim)
        self.register_buffer("table", torch.from_numpy(packed.table.view(np.int32)).to(device), persistent=False)
        self.register_buffer("weight", _tensor(packed).to(device), persistent=False)
        bias = None if slim.bias is None else slim.bias.detach().to(torch.float32)
        self.register_buffer("bias", bias, persistent=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        images = inputs.reshape(-1, inputs.shape[-1], 1, 1) if self.linear else inputs
        images = images[None] if images.dim() == 3 else images
        outputs: torch.Tensor = torch.ops.headroom.gather(
            images, self.table, self.weight, self.bias, self.outputs, self.window, self.kernel, self.parts, self.relu
        )
        if self.linear:
            return outputs.reshape(*inputs.shape[:-1], self.outputs)
        return outputs[0] if inputs.dim() == 3 else outputs

    def extra_repr(self) -> str:
        return f"{self.kernel}, {self.outputs} outputs, relu={self.relu}"


def kernels_for(slim: SlimLinear | SlimConv2d, arithmetic: Arithmetic, rows: int) -> list[Gather | Gemv]:
    """Every kernel that can run the layer, for ``rows`` rows of inputs if it is linear."""
    fitting = usable_vectors(arithmetic, channels_of(slim))
    found: list[Gather | Gemv] = [each for each in gathers(arithmetic) if each.vector in fitting]
    most = 8
    if isinstance(slim, SlimLinear) and rows <= most:
        found.insert(0, Gemv(arithmetic, 1 << max(0, rows - 1).bit_length()))
    return found


def packed_layer(slim: SlimLinear | SlimConv2d, arithmetic: Arithmetic, vector: int) -> Packed:
    """The layer's weights for one vector."""
    retained = np.asarray(slim.retained.cpu().numpy(), np.intp)
    if isinstance(slim, SlimLinear):
        return pack(as_numpy(slim.weight), retained, (slim.in_features, 1, 1), arithmetic, vector)
    _, channels, r, s = slim.shape
    return pack(as_numpy(slim.weight), retained, (channels, r, s), arithmetic, vector, slim.dilation)


def channels_of(slim: SlimLinear | SlimConv2d) -> int:
    """The inputs' channels, or a linear layer's features."""
    return int(slim.in_features if isinstance(slim, SlimLinear) else slim.shape[1])


def window_of(slim: SlimLinear | SlimConv2d) -> list[int]:
    """Extent, stride and padding as the operator takes them."""
    if isinstance(slim, SlimLinear):
        return [1, 1, 1, 1, 0, 0, 0, 0]
    _, _, r, s = slim.shape
    return [(r - 1) * slim.dilation[0] + 1, (s - 1) * slim.dilation[1] + 1, *slim.stride, *slim.padding]


def _widest(slim: SlimLinear | SlimConv2d, arithmetic: Arithmetic) -> int:
    """The vector that computes least, and of those the widest: few rows load single inputs as fast as runs."""
    vectors = usable_vectors(arithmetic, channels_of(slim))
    return min(vectors, key=lambda vector: (packed_layer(slim, arithmetic, vector).steps, -vector))


def _tensor(packed: Packed) -> torch.Tensor:
    if packed.arithmetic is Arithmetic.BF16:
        return torch.from_numpy(packed.weight.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(packed.weight)
