"""What every packed layer is: rows of words and scales, a bias, an activation. Importing it loads PyTorch."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from torch import nn

from headroom.change.fission.formats import Format, format_called
from headroom.change.fission.formats.words import row_words
from headroom.change.fission.unpacking import unpack_weights
from headroom.errors import UsageError

ACTIVATIONS = ("relu",)


class PackedRows(nn.Module):  # type: ignore[misc]  # PyTorch is not type-checked here
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

    def rows_of(self, weight: torch.Tensor) -> torch.Tensor:
        """A dense layer's weight as the rows that are packed."""
        return weight.reshape(len(weight), self.count)

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

    def take(self, dense: nn.Module) -> None:
        """Pack the weight of ``dense``, and copy its bias.

        Raises:
            UsageError: the weight is empty, without values, not finite, or too large for the format.
        """
        if not dense.weight.numel():
            raise UsageError(f"a layer without weights ({dense}) has nothing to pack; leave it as it is")
        if dense.weight.is_meta:
            raise UsageError("the weight is on the meta device and holds no values; load the network first")
        weight = self.rows_of(dense.weight.detach().float().cpu())
        if not bool(torch.isfinite(weight).all()):
            raise UsageError("the weight holds infinities or NaN, which packing would hide; repair the network first")
        packed = self.form.pack(weight.numpy())
        self.words.copy_(torch.from_numpy(packed.words.view(np.int32)))
        if packed.scales is not None:
            assert self.scales is not None
            self.scales.copy_(torch.from_numpy(packed.scales))
        if not bool(torch.isfinite(self.unpacked()).all()):
            largest = float(weight.abs().max())
            raise UsageError(f"{self.form.name} has no number as large as the weight's {largest:.4g}; choose another")
        if dense.bias is not None:
            self.bias.copy_(dense.bias.detach().float())
        self.to(dense.weight.device)
        self.train(dense.training)

    def activated(self, outputs: torch.Tensor) -> torch.Tensor:
        """The fused activation of ``outputs``."""
        return outputs.relu() if self.activation == "relu" else outputs

    def bias_for(self, inputs: torch.Tensor) -> torch.Tensor | None:
        """The bias in the type of ``inputs``."""
        return None if self.bias is None else self.bias.to(inputs.dtype)

    def _apply(self, function: Any, *rest: Any, **named: Any) -> Self:
        """Scales and bias stay fp32 whatever type the network is cast to: kernels read them so."""
        exact = {name: getattr(self, name) for name in ("scales", "bias")}
        super()._apply(function, *rest, **named)
        for name, before in exact.items():
            if before is not None and getattr(self, name).dtype != torch.float32:
                setattr(self, name, before.to(self.words.device))
        return self


def made_of(dense: object, expected: type[nn.Module], packed: type[PackedRows]) -> None:
    """Refuse to pack a layer of another kind.

    Raises:
        UsageError: ``dense`` is not of type ``expected``.
    """
    if not isinstance(dense, expected):
        raise UsageError(f"{packed.__name__} is made of a torch.nn.{expected.__name__}, not of {type(dense).__name__}")
