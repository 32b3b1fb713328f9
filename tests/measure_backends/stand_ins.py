"""Chains, and operands that stand in for a GPU's."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Convolution, Elementwise, Matmul, Normalization, Work
from headroom.measure.cuda.operands import TorchOperands
from headroom.measure.task import Task

Shape = tuple[int, ...]


def operands(chain: Chain, dtype: DataType = DataType.FP32) -> TorchOperands:
    """The operands of ``chain`` on the CPU."""
    return TorchOperands(Task(chain, dtype), "cpu")


def layer(work: Work, reads: Iterable[TensorSpec], weights: Iterable[TensorSpec], writes: TensorSpec) -> Layer:
    return Layer("", "", work, tuple(reads), tuple(weights), (writes,))


def convolution(
    data: Shape = (2, 8, 6, 5),
    out_channels: int = 4,
    kernel: Shape = (3, 3),
    *,
    padding: int = 1,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
) -> Layer:
    """A forward convolution that reads ``x`` and writes ``y``."""
    space = tuple((s + 2 * padding - k) // stride + 1 for s, k in zip(data[2:], kernel, strict=True))
    rank = len(kernel)
    work = Convolution(
        data[0], data[1], out_channels, data[2:], space, kernel, (stride,) * rank, ((padding, padding),) * rank,
        (1,) * rank, groups,
    )  # fmt: skip
    weights = [TensorSpec("w", (out_channels, data[1] // groups, *kernel))]
    weights += [TensorSpec("b", (out_channels,))] if bias else []
    return layer(work, [TensorSpec("x", data)], weights, TensorSpec("y", (data[0], out_channels, *space)))


def transposed(data: Shape = (2, 6, 5, 4), out_channels: int = 4, groups: int = 2) -> Layer:
    """A transposed convolution of two taps at stride 2."""
    space = tuple(2 * size for size in data[2:])
    work = Convolution(
        data[0], data[1], out_channels, data[2:], space, (2, 2), (2, 2), ((0, 0),) * 2, (1, 1), groups, "dgrad"
    )
    weight = TensorSpec("w", (data[1], out_channels // groups, 2, 2))
    return layer(work, [TensorSpec("x", data)], [weight], TensorSpec("y", (data[0], out_channels, *space)))


def linear(data: Shape = (2, 3, 8), features: int = 4, *, transposed_weight: bool = True, bias: bool = False) -> Layer:
    """A product of ``x`` with a weight stored as (features, k), or as (k, features)."""
    k, rows = data[-1], TensorSpec("", data[:-1]).elements
    weights = [TensorSpec("w", (features, k) if transposed_weight else (k, features))]
    weights += [TensorSpec("b", (features,))] if bias else []
    return layer(Matmul(rows, features, k), [TensorSpec("x", data)], weights, TensorSpec("y", (*data[:-1], features)))


def batch_norm(previous: Layer, name: str) -> Layer:
    shape = previous.outputs[0].shape
    weights = [TensorSpec(f"{name}.{part}", (shape[1],)) for part in ("scale", "shift", "mean", "variance")]
    return layer(
        Normalization("batch", previous.outputs[0].elements), previous.outputs, weights, TensorSpec(name, shape)
    )


def pointwise(
    function: str,
    previous: Layer,
    name: str,
    *,
    reads: Iterable[TensorSpec] = (),
    weights: Iterable[TensorSpec] = (),
) -> Layer:
    """``function`` of what ``previous`` writes and further operands; ``relu`` and its like are activations."""
    out = previous.outputs[0]
    work = Elementwise(function, out.elements, activation=function not in ("add", "sum", "mul"))
    return layer(work, (*previous.outputs, *reads), weights, TensorSpec(name, out.shape))


def residual(previous: Layer, name: str) -> Layer:
    other = TensorSpec(f"{name}.other", previous.outputs[0].shape)
    return pointwise("add", previous, name, reads=[other])


def filled(shape: Shape) -> Tensor:
    """Different values everywhere."""
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape)
