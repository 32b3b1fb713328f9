"""Packing what synapse elimination left: a linear layer that reads some inputs, with a packed weight. Loads PyTorch."""

from __future__ import annotations

import torch
from torch import nn

from headroom.change.fission.modules import PackedConv2d, PackedLinear
from headroom.change.synapses.modules import SlimLinear


def packed_twin(dense: nn.Module, form: str, activation: str | None = None) -> PackedLinear | PackedConv2d:
    """The packed twin of a linear layer, a slim one or a convolution.

    Raises:
        UsageError: as the twins' own.
    """
    if isinstance(dense, SlimLinear):
        return PackedSlimLinear.from_float(dense, form, activation=activation)
    twin = PackedLinear if isinstance(dense, nn.Linear) else PackedConv2d
    return twin.from_float(dense, form, activation=activation)


class PackedSlimLinear(PackedLinear):
    """A :class:`PackedLinear` that first takes its retained inputs, in the order of its weight.

    Args:
        in_features: inputs that it is given.
        retained: how many it reads.
        out_features, form, bias, activation: as of :class:`PackedLinear`.
    """

    retained: torch.Tensor

    def __init__(
        self,
        in_features: int,
        retained: int,
        out_features: int,
        form: str = "int8",
        *,
        bias: bool = True,
        activation: str | None = None,
    ) -> None:
        super().__init__(retained, out_features, form, bias=bias, activation=activation)
        self.given = in_features
        self.register_buffer("retained", torch.arange(retained))

    @classmethod
    def from_float(cls, dense: nn.Module, form: str = "int8", *, activation: str | None = None) -> PackedSlimLinear:
        """The packed twin of a :class:`~headroom.change.synapses.modules.SlimLinear`.

        Raises:
            UsageError: no such format or activation, or the weight is not finite.
        """
        assert isinstance(dense, SlimLinear)
        made = cls(
            *(dense.in_features, len(dense.retained), dense.out_features, form),
            bias=dense.bias is not None,
            activation=activation,
        )
        made.take(dense)
        made.retained = dense.retained.clone()
        return made

    @property
    def reads_its_inputs(self) -> bool:
        """Whether every retained index is one of the inputs."""
        return not len(self.retained) or (int(self.retained.min()) >= 0 and int(self.retained.max()) < self.given)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(inputs.index_select(-1, self.retained))

    def extra_repr(self) -> str:
        return f"{self.given} given, {super().extra_repr()}"
