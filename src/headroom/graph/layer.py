"""A layer: one node of the model that does something."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from headroom.graph.kinds import LayerKind
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Convolution, Gemm, Work


@dataclass(frozen=True)
class Layer:
    """A node of the model with everything that time and traffic depend on.

    ``inputs`` are tensors that earlier layers or the caller produce; ``weights`` are the model's constants.
    ``module`` is the dotted path of the user's own module (``"layer1.0.conv2"``) where the source tells it.
    ``parts`` are the layers that a recognised pattern stands for (attention), in order; they run instead
    of it where no fused implementation does. What follows from these alone is found once: many questions ask for it.
    """

    name: str
    operator: str
    work: Work
    inputs: tuple[TensorSpec, ...]
    weights: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    module: str = ""
    parts: tuple[Layer, ...] = ()

    @cached_property
    def remembered(self) -> dict[Hashable, Any]:
        """What other modules found of this layer alone and would find again, each under a key of its own."""
        return {}

    @cached_property
    def kind(self) -> LayerKind:
        return self.work.kind

    @cached_property
    def step(self) -> str:
        """What the layer does, in a word or two: its kind for products, its function for the rest."""
        if self.kind.computes_gemm:
            return str(self.kind)
        function = str(getattr(self.work, "function", self.kind))
        return f"{function} norm" if self.kind is LayerKind.NORMALIZATION else function

    @cached_property
    def macs(self) -> int:
        return self.work.macs

    @cached_property
    def flops(self) -> int:
        return self.work.flops

    @cached_property
    def gemm(self) -> Gemm | None:
        return self.work.gemm

    def bytes_read(self, dtype: DataType) -> int:
        """Compulsory reads: every operand once, or only the part of it that is used at all."""
        return self._moved_in(dtype)[0]

    def bytes_written(self, dtype: DataType) -> int:
        """Compulsory writes: every output once."""
        return self._moved_in(dtype)[1]

    def bytes(self, dtype: DataType) -> int:
        """Compulsory traffic: what is read plus what is written, each byte once."""
        return sum(self._moved_in(dtype))

    def _moved_in(self, dtype: DataType) -> tuple[int, int]:
        if dtype.bytes not in self._moved:
            self._moved[dtype.bytes] = (self._read(dtype), self._written(dtype))
        return self._moved[dtype.bytes]

    @cached_property
    def _moved(self) -> dict[int, tuple[int, int]]:
        """Bytes read and written by the width of the data type."""
        return {}

    def _read(self, dtype: DataType) -> int:
        if not self.kind.does_work:
            return 0
        operands = [tensor.bytes(dtype) for tensor in (*self.inputs, *self.weights)]
        if operands and getattr(self.work, "partial_read", False):
            # The table of a gather is the largest operand: an index tensor never is.
            largest = max(range(len(operands)), key=operands.__getitem__)
            operands[largest] = min(operands[largest], self._written(dtype))
        if operands and isinstance(self.work, Convolution):
            operands[0] = round(operands[0] * self.work.input_share)
        return sum(operands)

    def _written(self, dtype: DataType) -> int:
        if not self.kind.does_work:
            return 0
        return sum(tensor.bytes(dtype) for tensor in self.outputs)

    @cached_property
    def configuration(self) -> Hashable:
        """Equal for two layers that any implementation would run in the same way."""
        return (
            self.work,
            tuple(tensor.form for tensor in self.inputs),
            tuple(tensor.form for tensor in self.weights),
            tuple(tensor.form for tensor in self.outputs),
        )
