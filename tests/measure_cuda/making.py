"""Chains made by hand, their operands on the CPU, and what PyTorch's operators make of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Work
from headroom.measure.backends.torch_ops import bind_chain
from headroom.measure.cuda.operands import TorchOperands
from headroom.measure.task import Task

Form = tuple[int, ...] | tuple[tuple[int, ...], str]


def layer(
    work: Work, inputs: Sequence[Form], outputs: Sequence[Form], weights: Sequence[Form] = (), names: str = ""
) -> Layer:
    """A layer whose tensors are called ``x0``, ``w0``, ``y0``, …, or as ``names`` says, in that order."""
    given = iter(names.split())

    def specs(prefix: str, forms: Sequence[Form]) -> tuple[TensorSpec, ...]:
        return tuple(
            TensorSpec(next(given, f"{prefix}{i}"), *(form if form and isinstance(form[0], tuple) else (form,)))
            for i, form in enumerate(forms)
        )

    return Layer("", "", work, specs("x", inputs), specs("w", weights), specs("y", outputs))


def task_of(*layers: Layer, dtype: DataType = DataType.FP32, plans: str = "all") -> Task:
    return Task(Chain.of(layers), dtype, plans)


def operands_for(*layers: Layer, dtype: DataType = DataType.FP32) -> TorchOperands:
    return TorchOperands(task_of(*layers, dtype=dtype), "cpu")


def run(*layers: Layer) -> tuple[tuple[Tensor, ...], list[Tensor]]:
    """The chain's outputs, and its inputs and weights in order."""
    operands = operands_for(*layers)
    sources = operands.sources
    outputs = bind_chain(operands.task.chain, sources)(sources)
    assert [tuple(out.shape) for out in outputs] == [spec.shape for spec in operands.task.chain.outputs]
    return outputs, list(sources.values())


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)
