"""The tensors of a chain: random, on the device, the same values whatever their layout.

Values are normally distributed and scaled so that sums of products keep a variance of one, as trained networks do:
a deep product neither overflows nor vanishes in any data type, and power draw is not flattered by zeros.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from headroom.graph.chain import FLOATING, Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Convolution, Elementwise, Embedding, Matmul, Movement, Normalization, Recurrent
from headroom.measure.backends.torch_ops.functions import DOMAINS
from headroom.measure.bench import UnsupportedError
from headroom.measure.roles import operands_of, places_of
from headroom.measure.task import Task

#: What stores a floating-point tensor of the run's data type.
TORCH_DTYPES = {
    DataType.FP32: torch.float32,
    DataType.TF32: torch.float32,
    DataType.FP16: torch.float16,
    DataType.BF16: torch.bfloat16,
    DataType.FP8: torch.float8_e4m3fn,
}

#: Batch normalisation at inference reads scale, shift, mean and variance, or the last two alone.
_VARIANCE = -1

_INTEGER_LIMIT = 100


@dataclass(frozen=True, slots=True)
class _Values:
    """How a tensor is filled: normal with deviation ``scale``, uniform in an interval, or integers below a limit."""

    scale: float = 1.0
    interval: tuple[float, float] | None = None
    below: int = _INTEGER_LIMIT


class TorchOperands:
    """The operands of one task on ``device``; made when first asked for and kept until the task ends."""

    def __init__(self, task: Task, device: str) -> None:
        self.task = task
        self.device = torch.device(device)
        self._specs = {
            tensor.name: tensor for layer in task.chain.layers for tensor in (*operands_of(layer), *layer.outputs)
        }
        self._values = _values_of(task.chain)
        self._tensors: dict[tuple[str, str], Tensor] = {}
        self._seed = int(task.chain.digest[:12], 16)

    def tensor(self, name: str, layout: str = "") -> Any:
        """Input or weight ``name``, in memory in order ``layout`` (``nhwc`` moves the channels last).

        Raises:
            UnsupportedError: nothing on a GPU has its element type.
        """
        memory_format = memory_format_of(self._specs[name].shape, layout)
        key = name, str(memory_format)
        if key not in self._tensors:
            plain = (name, str(torch.contiguous_format))
            if plain not in self._tensors:
                self._tensors[plain] = self._filled(self._specs[name])
            self._tensors[key] = self._tensors[plain].contiguous(memory_format=memory_format)
        return self._tensors[key]

    def empty(self, name: str, layout: str = "") -> Any:
        """A new tensor for output ``name`` that holds NaN (integers: their smallest value, or false)."""
        spec = self._specs[name]
        dtype = self.dtype_of(spec)
        tensor = torch.empty(
            spec.shape, dtype=dtype, device=self.device, memory_format=memory_format_of(spec.shape, layout)
        )
        if dtype.is_floating_point:
            return tensor.fill_(float("nan"))
        return tensor.fill_(False if dtype == torch.bool else torch.iinfo(dtype).min)

    def dtype_of(self, spec: TensorSpec) -> torch.dtype:
        if spec.element == FLOATING:
            return TORCH_DTYPES[self.task.dtype]
        dtype = getattr(torch, spec.element, None)
        if not isinstance(dtype, torch.dtype):
            raise UnsupportedError(f"tensors of type {spec.element} do not exist on a GPU")
        return dtype

    @property
    def sources(self) -> dict[str, Tensor]:
        """Every input and weight of the chain in its plain order, and a place for what is written from nothing."""
        chain = self.task.chain
        read = {tensor.name: self.tensor(tensor.name) for tensor in (*chain.inputs, *chain.weights)}
        return read | {tensor.name: self.empty(tensor.name) for tensor in places_of(chain)}

    def _filled(self, spec: TensorSpec) -> Tensor:
        dtype, values = self.dtype_of(spec), self._values.get(spec.name, _Values())
        generator = torch.Generator(self.device)
        generator.manual_seed(self._seed + int(hashlib.sha256(spec.name.encode()).hexdigest()[:6], 16))
        options: dict[str, Any] = {"device": self.device, "generator": generator}
        if dtype == torch.bool:
            # Mostly true: a mask keeps at least one position of almost every row.
            return torch.rand(spec.shape, **options) < 0.75
        if not dtype.is_floating_point:
            below = max(1, min(values.below, torch.iinfo(dtype).max))
            return torch.randint(0, below, spec.shape, dtype=dtype, **options)
        if values.interval is not None:
            low, high = values.interval
            return (torch.rand(spec.shape, dtype=torch.float32, **options) * (high - low) + low).to(dtype)
        return torch.randn(spec.shape, dtype=torch.float32, **options).mul_(values.scale).to(dtype)


def memory_format_of(shape: tuple[int, ...], layout: str) -> torch.memory_format:
    """PyTorch's name for an order of dimensions; tensors without channels and space have only their own."""
    if layout == "nhwc" and len(shape) in (4, 5):
        return torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    return torch.contiguous_format


def _values_of(chain: Chain) -> dict[str, _Values]:
    """How each operand has to be filled for the chain to stay finite; the first layer that says so decides."""
    found: dict[str, _Values] = {}
    outside = {tensor.name for tensor in (*chain.inputs, *chain.weights)}
    for layer in chain.layers:
        for name, values in _wishes(layer).items():
            if name in outside:
                found.setdefault(name, values)
    limits = [limit for layer in chain.layers if (limit := _limit(layer)) is not None]
    if limits:
        # What flows through the chain has to stay in the domain as well, so every operand does.
        found = {name: found.get(name, _Values(interval=limits[0])) for name in outside}
    return found


def _limit(layer: Layer) -> tuple[float, float] | None:
    """An interval that the layer's function is finite on, where it is not finite everywhere."""
    return DOMAINS.get(layer.work.function) if isinstance(layer.work, Elementwise) else None


def _wishes(layer: Layer) -> dict[str, _Values]:
    work, operands = layer.work, operands_of(layer)
    match work:
        case Convolution() | Matmul():
            return {operand.name: _Values(scale=1 / math.sqrt(max(work.gemm.k, 1))) for operand in operands[1:2]}
        case Recurrent():
            return {weight.name: _Values(scale=1 / math.sqrt(work.hidden_size)) for weight in layer.weights}
        case Normalization(function="batch", group_elements=0) if len(operands) in (3, 5):
            return {operands[_VARIANCE].name: _Values(interval=(0.5, 1.5))}
        case Embedding() | Movement():
            return _index_limits(layer)
    return {}


def _index_limits(layer: Layer) -> dict[str, _Values]:
    """Indices stay inside every dimension that they might pick from."""
    operands = operands_of(layer)
    tables = [operand for operand in operands if operand.element == FLOATING and operand.shape]
    indices = [operand for operand in operands if operand.element != FLOATING]
    if not tables:
        return {}
    table = max(tables, key=lambda operand: operand.elements)
    picked = _picked_dimension(table.shape, layer, indices)
    return {index.name: _Values(below=picked) for index in indices}


def _picked_dimension(table: tuple[int, ...], layer: Layer, indices: list[TensorSpec]) -> int:
    """Length of the dimension that indices replace; the shortest one where that is not plain."""
    if isinstance(layer.work, Embedding):
        return table[0]
    out = layer.outputs[0].shape
    for index in indices:
        for dim in range(len(table)):
            if table[:dim] + index.shape + table[dim + 1 :] == out:
                return table[dim]
    return min(table)
