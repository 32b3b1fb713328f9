"""Layers with fewer synapse vectors, as PyTorch modules. Importing it loads PyTorch.

Each holds the table of its retained vectors as the buffer ``retained``, in the order of its weight. They give what the
dense layer would whose removed weights are zero. At the column grain a smaller convolution does not exist, so the
columns are gathered and multiplied: right on any device, for checking others against, and no kernel to be fast.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from headroom.errors import UsageError


class SlimLinear(nn.Module):  # type: ignore[misc]  # PyTorch is not type-checked here
    """A linear layer that reads only some of its inputs.

    Args:
        in_features: inputs it is given, K.
        retained: how many it reads, K - D.
        out_features: outputs.
        bias: whether it has one.
    """

    retained: torch.Tensor

    def __init__(self, in_features: int, retained: int, out_features: int, *, bias: bool = True) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.register_buffer("retained", torch.arange(retained))
        self.weight = nn.Parameter(torch.zeros(out_features, retained))
        self.register_parameter("bias", nn.Parameter(torch.zeros(out_features)) if bias else None)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return functional.linear(inputs.index_select(-1, self.retained), self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features} ({len(self.retained)} read), {self.out_features}"


class SlimConv2d(nn.Module):  # type: ignore[misc]  # PyTorch is not type-checked here
    """A convolution that reads only some (channel, r, s) of its window, by gathering them and one product.

    Args:
        shape: the dense weight's (out, in, r, s); (channel, r, s) are numbered along it.
        retained: how many it reads, K - D.
        stride, dilation: as of :class:`torch.nn.Conv2d`.
        padding: zeros left, right, above and below.
        bias: whether it has one.
    """

    retained: torch.Tensor

    def __init__(
        self,
        shape: tuple[int, int, int, int],
        retained: int,
        *,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        dilation: tuple[int, int] = (1, 1),
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.shape, self.stride, self.padding, self.dilation = shape, stride, padding, dilation
        self.register_buffer("retained", torch.arange(retained))
        self.weight = nn.Parameter(torch.zeros(shape[0], retained))
        self.register_parameter("bias", nn.Parameter(torch.zeros(shape[0])) if bias else None)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if inputs.dim() == 3:
            return self.forward(inputs[None])[0]
        padded = functional.pad(inputs, self.padding)
        batch, _, height, width = padded.shape
        (down, right), (dilation_r, dilation_s), (_, _, r, s) = self.stride, self.dilation, self.shape
        rows = (height - dilation_r * (r - 1) - 1) // down + 1
        columns = (width - dilation_s * (s - 1) - 1) // right + 1
        channel, place_r, place_s = self.retained // (r * s), self.retained // s % r, self.retained % s
        corner = (channel * height + place_r * dilation_r) * width + place_s * dilation_s
        step_p = torch.arange(rows, device=inputs.device) * down * width
        step_q = torch.arange(columns, device=inputs.device) * right
        places = corner[:, None, None] + step_p[:, None] + step_q
        gathered = padded.flatten(1).index_select(1, places.flatten()).view(batch, len(self.retained), -1)
        outputs = self.weight @ gathered
        if self.bias is not None:
            outputs = outputs + self.bias[:, None]
        return outputs.view(batch, -1, rows, columns)

    def extra_repr(self) -> str:
        return f"{self.shape}, {len(self.retained)} of {self.shape[1] * self.shape[2] * self.shape[3]} columns read"


class SlimChannels(nn.Module):  # type: ignore[misc]  # PyTorch is not type-checked here
    """A convolution that reads only some input channels: a selection and an ordinary smaller convolution.

    Args:
        in_channels: channels it is given.
        conv: the smaller convolution, without groups.

    Raises:
        UsageError: the convolution has groups.
    """

    retained: torch.Tensor

    def __init__(self, in_channels: int, conv: nn.Conv2d) -> None:
        super().__init__()
        if conv.groups != 1:
            raise UsageError(f"a convolution of {conv.groups} groups cannot lose synapse vectors; leave it dense")
        self.in_channels = in_channels
        self.register_buffer("retained", torch.arange(conv.in_channels))
        self.conv = conv

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.conv(inputs.index_select(-3, self.retained))
        return outputs

    def extra_repr(self) -> str:
        return f"{self.in_channels} ({len(self.retained)} read)"


def smaller_conv(dense: nn.Conv2d, in_channels: int) -> nn.Conv2d:
    """A convolution like ``dense`` with fewer input channels, its weights not set."""
    options: dict[str, Any] = {
        "stride": dense.stride,
        "padding": dense.padding,
        "dilation": dense.dilation,
        "padding_mode": dense.padding_mode,
        "bias": dense.bias is not None,
        "device": dense.weight.device,
        "dtype": dense.weight.dtype,
    }
    return nn.utils.skip_init(nn.Conv2d, in_channels, dense.out_channels, dense.kernel_size, **options)


def zeros_around(conv: nn.Conv2d) -> tuple[int, int, int, int]:
    """The zeros that a convolution pads with: left, right, above, below.

    Raises:
        UsageError: it pads with something else.
    """
    if conv.padding_mode != "zeros":
        raise UsageError(f"padding by {conv.padding_mode} has no column grain here; use the channel grain")
    left, right, above, below = conv._reversed_padding_repeated_twice
    return left, right, above, below
