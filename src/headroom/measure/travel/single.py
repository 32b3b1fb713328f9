"""Layers that one of cuDNN's older functions runs: pooling, softmax, reductions, activations, written down.

The settings are taken from what the stopwatch's backend tells the library: it is given one that only listens.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

from headroom.graph.tensor import DataType
from headroom.measure.backends.geometry.frame import strides_of
from headroom.measure.backends.legacy.forms import Form, usable_forms
from headroom.measure.backends.legacy.library import Library
from headroom.measure.task import Task
from headroom.measure.travel.case import Case, Fill, Operation, Tensor

#: The library's functions that a traveller calls, and what it calls them.
_FUNCTIONS = {
    "cudnnPoolingForward": "pooling",
    "cudnnSoftmaxForward": "softmax",
    "cudnnReduceTensor": "reduce",
    "cudnnActivationForward": "activation",
    "cudnnLRNCrossChannelForward": "local_response",
}


def single_cases(task: Task) -> Iterator[Case]:
    """One case per tensor order and function; none for chains and for fp8."""
    for _, form in usable_forms(task):
        yield _case(form, task.dtype)


def _case(form: Form, dtype: DataType) -> Case:
    kind = "fp32" if dtype is DataType.TF32 else str(dtype)
    listener = _Listener()
    no_tensor: Any = SimpleNamespace(value=None)
    settings = form.prepare(cast("Library", listener), no_tensor, no_tensor)
    told = listener.told or [value for value in settings.arguments if isinstance(value, int)]
    tensors = (
        Tensor(1, kind, form.x, strides_of(form.x, form.layout), Fill("normal", 1.0)),
        Tensor(2, kind, form.y, strides_of(form.y, form.layout), Fill("nothing")),
    )
    operation = Operation(_FUNCTIONS[form.function], (1,), 2, (("settings", tuple(told)),))
    return Case(("cudnn-legacy",), form.layout, "fp32", tensors, (operation,), form.name)


class _Listener:
    """A library that runs nothing and remembers the numbers that a descriptor is set to."""

    handle = None

    def __init__(self) -> None:
        self.told: list[float] = []

    def call(self, function: str, *arguments: Any) -> None:
        if function.startswith("cudnnSet"):
            self.told += [number for argument in arguments[1:] for number in _numbers(argument)]


def _numbers(argument: Any) -> tuple[float, ...]:
    if isinstance(argument, ctypes.Array):
        return tuple(argument)
    return (argument if isinstance(argument, int) else argument.value,)
