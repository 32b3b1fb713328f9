"""Layers whose weights are packed, as PyTorch modules usable alone. Importing it loads PyTorch.

They are for inference: weights are buffers, and gradients pass to the inputs alone. On a GPU a linear layer with a few
rows of inputs, and a convolution in strict fp32, run a kernel that splits the packed weights in registers; everything
else, and every CPU, unpacks the weight and multiplies, which is right and saves memory, not time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from headroom.change.fission.kernels.window_table import load_table
from headroom.change.fission.packed_rows import PackedRows, made_of
from headroom.errors import UsageError


class PackedLinear(PackedRows):
    """A linear layer with a packed weight.

    Args:
        in_features, out_features: as of :class:`torch.nn.Linear`.
        form: a format's name (:data:`headroom.change.fission.FORMATS`).
        bias: whether it has one.
        activation: ``relu`` or nothing, applied to the outputs.

    Raises:
        UsageError: no such format or activation.

    Inputs are (..., in_features) in fp32, bf16 or fp16; outputs are of their type.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        form: str = "int8",
        *,
        bias: bool = True,
        activation: str | None = None,
    ) -> None:
        super().__init__(out_features, in_features, form, bias, activation)
        self.in_features, self.out_features = in_features, out_features

    @classmethod
    def from_float(cls, dense: nn.Linear, form: str = "int8", *, activation: str | None = None) -> PackedLinear:
        """The packed twin of a linear layer.

        Raises:
            UsageError: not a linear layer, no such format or activation, or the weight is empty, not finite or too
                large for the format.
        """
        made_of(dense, nn.Linear, cls)
        made = cls(dense.in_features, dense.out_features, form, bias=dense.bias is not None, activation=activation)
        made.take(dense)
        return made

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - callers may name it, as for nn's own layers
        if input.is_cuda and not input.requires_grad:
            from headroom.change.fission.kernels.gpu import run_linear

            found = run_linear(self, input)
            if found is not None:
                return found
        weight = self.unpacked().to(input.dtype)
        return self.activated(functional.linear(input, weight, self.bias_for(input)))

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, form={self.form.name}, activation={self.activation}"


class PackedConv2d(PackedRows):
    """A convolution with a packed weight: each output channel's (r, s, in / groups) is a row.

    Args:
        shape: the weight's (out, in / groups, r, s).
        form: a format's name.
        bias: whether it has one.
        activation: ``relu`` or nothing.
        places: ``stride``, ``padding``, ``dilation``, ``groups`` as of :func:`torch.nn.functional.conv2d`.

    Attributes:
        near: whether strict fp32 (fp32 inputs while TF32 is not allowed) runs the kernel that splits beside the
            arithmetic, where it has the format; ``False`` always unpacks and calls the library.

    Raises:
        UsageError: no such format or activation.
    """

    table: torch.Tensor | None
    near = True

    def __init__(
        self,
        shape: tuple[int, int, int, int],
        form: str = "int8",
        *,
        bias: bool = True,
        activation: str | None = None,
        **places: Any,
    ) -> None:
        super().__init__(shape[0], int(np.prod(shape[1:])), form, bias, activation)
        self.shape, self.places = tuple(shape), places
        table = load_table(self.form, self.shape, places)
        self.register_buffer("table", None if table is None else torch.from_numpy(table), persistent=False)

    @classmethod
    def from_float(cls, dense: nn.Conv2d, form: str = "int8", *, activation: str | None = None) -> PackedConv2d:
        """The packed twin of a convolution.

        Raises:
            UsageError: not a 2-D convolution, no such format or activation, padding by something else than zeros, or
                the weight is empty, not finite or too large for the format.
        """
        made_of(dense, nn.Conv2d, cls)
        if dense.padding_mode != "zeros":
            raise UsageError(f"padding by {dense.padding_mode} is not packed; pad with zeros or leave the layer dense")
        places = {name: getattr(dense, name) for name in ("stride", "padding", "dilation", "groups")}
        bias = dense.bias is not None
        made = cls(tuple(dense.weight.shape), form, bias=bias, activation=activation, **places)
        made.take(dense)
        return made

    @property
    def weight(self) -> torch.Tensor:
        """The weight unpacked, in a convolution's shape."""
        outputs, channels, r, s = self.shape
        return self.unpacked().view(outputs, r, s, channels).permute(0, 3, 1, 2)

    def rows_of(self, weight: torch.Tensor) -> torch.Tensor:
        return weight.permute(0, 2, 3, 1).reshape(len(weight), self.count)

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - callers may name it, as for nn's own layers
        if self.near and input.is_cuda and not input.requires_grad:
            from headroom.change.fission.kernels.convolution_gpu import run_packed

            found = run_packed(self, input)
            if found is not None:
                return found
        weight = self.weight.to(input.dtype)
        return self.activated(functional.conv2d(input, weight, self.bias_for(input), **self.places))

    def extra_repr(self) -> str:
        return f"{self.shape}, form={self.form.name}, activation={self.activation}"
