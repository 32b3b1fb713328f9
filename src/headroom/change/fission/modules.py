"""Layers whose weights are packed, as PyTorch modules usable alone. Importing it loads PyTorch.

They are for inference: weights are buffers, and gradients pass to the inputs alone. On a GPU a linear layer with a few
rows of inputs runs a kernel that splits the packed weights in registers; everything else, and every CPU, unpacks the
weight and multiplies, which is right and saves memory, not time.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from headroom.change.fission.formats import Format, format_called
from headroom.change.fission.formats.words import row_words
from headroom.change.fission.unpacking import unpack_weights
from headroom.errors import UsageError

ACTIVATIONS = ("relu",)


class _PackedRows(nn.Module):  # type: ignore[misc]  # PyTorch is not type-checked here
    """A packed weight of (rows, count), its bias and the activation that is fused."""

    words: torch.Tensor
    scales: torch.Tensor | None

    def __init__(self, rows: int, count: int, form: str, bias: bool, activation: str | None) -> None:
        super().__init__()
        self.form: Format = format_called(form)
        if activation is not None and activation not in ACTIVATIONS:
            raise UsageError(
                f"activation {activation!r} is not fused; expected one of {', '.join(ACTIVATIONS)} or None"
            )
        self.count, self.activation = count, activation
        self.register_buffer("words", torch.zeros(rows, row_words(count, self.form.bits), dtype=torch.int32))
        group = self.form.group_of(count)
        groups = None if group is None else max(1, -(-count // max(group, 1)))
        self.register_buffer("scales", None if groups is None else torch.ones(rows, groups))
        self.register_buffer("bias", torch.zeros(rows) if bias else None)

    @property
    def packed_bytes(self) -> int:
        """What the weight takes: words and scales."""
        return 4 * int(self.words.numel() + (0 if self.scales is None else self.scales.numel()))

    def unpacked(self) -> torch.Tensor:
        """The weight in fp32, (rows, count), as kernels see it."""
        return unpack_weights(self.words, self.scales, self.form, self.count)

    @property
    def weight(self) -> torch.Tensor:
        """The weight unpacked, for code that looks at it, such as PyTorch's own transformer layers."""
        return self.unpacked()

    def get_extra_state(self) -> str:
        """The format goes with the words: under another one they mean something else."""
        return self.form.name

    def set_extra_state(self, state: Any) -> None:
        if state != self.form.name:
            raise UsageError(f"the state is packed as {str(state)[:40]!r} and the layer as {self.form.name!r}")

    def _take(self, dense: nn.Module) -> None:
        weight = dense.weight.detach().float().cpu().reshape(len(dense.weight), -1)
        if not bool(torch.isfinite(weight).all()):
            raise UsageError("the weight holds infinities or NaN, which packing would hide; repair the network first")
        packed = self.form.pack(weight.numpy())
        self.words.copy_(torch.from_numpy(packed.words.view(np.int32)))
        if packed.scales is not None:
            assert self.scales is not None
            self.scales.copy_(torch.from_numpy(packed.scales))
        if dense.bias is not None:
            self.bias.copy_(dense.bias.detach().float())
        self.to(dense.weight.device)
        self.train(dense.training)

    def _activated(self, outputs: torch.Tensor) -> torch.Tensor:
        return outputs.relu() if self.activation == "relu" else outputs

    def _bias_for(self, inputs: torch.Tensor) -> torch.Tensor | None:
        return None if self.bias is None else self.bias.to(inputs.dtype)

    def _apply(self, function: Any, *rest: Any, **named: Any) -> Self:
        """Scales and bias stay fp32 whatever type the network is cast to: kernels read them so."""
        exact = {name: getattr(self, name) for name in ("scales", "bias")}
        super()._apply(function, *rest, **named)
        for name, before in exact.items():
            if before is not None and getattr(self, name).dtype != torch.float32:
                setattr(self, name, before.to(self.words.device))
        return self


class PackedLinear(_PackedRows):
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
            UsageError: no such format or activation, or the weight is not finite.
        """
        made = cls(dense.in_features, dense.out_features, form, bias=dense.bias is not None, activation=activation)
        made._take(dense)
        return made

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if inputs.is_cuda and not inputs.requires_grad:
            from headroom.change.fission.kernels.gpu import run_linear

            found = run_linear(self, inputs)
            if found is not None:
                return found
        weight = self.unpacked().to(inputs.dtype)
        return self._activated(functional.linear(inputs, weight, self._bias_for(inputs)))

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, form={self.form.name}, activation={self.activation}"


class PackedConv2d(_PackedRows):
    """A convolution with a packed weight: each output channel's (in / groups, r, s) is a row.

    Args:
        shape: the weight's (out, in / groups, r, s).
        form: a format's name.
        bias: whether it has one.
        activation: ``relu`` or nothing.
        places: ``stride``, ``padding``, ``dilation``, ``groups`` as of :func:`torch.nn.functional.conv2d`.

    Raises:
        UsageError: no such format or activation.
    """

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

    @classmethod
    def from_float(cls, dense: nn.Conv2d, form: str = "int8", *, activation: str | None = None) -> PackedConv2d:
        """The packed twin of a convolution.

        Raises:
            UsageError: no such format or activation, padding by something else than zeros, or a weight not finite.
        """
        if dense.padding_mode != "zeros":
            raise UsageError(f"padding by {dense.padding_mode} is not packed; pad with zeros or leave the layer dense")
        places = {name: getattr(dense, name) for name in ("stride", "padding", "dilation", "groups")}
        bias = dense.bias is not None
        made = cls(tuple(dense.weight.shape), form, bias=bias, activation=activation, **places)
        made._take(dense)
        return made

    @property
    def weight(self) -> torch.Tensor:
        """The weight unpacked, in a convolution's shape."""
        return self.unpacked().view(self.shape)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        weight = self.weight.to(inputs.dtype)
        return self._activated(functional.conv2d(inputs, weight, self._bias_for(inputs), **self.places))

    def extra_repr(self) -> str:
        return f"{self.shape}, form={self.form.name}, activation={self.activation}"
