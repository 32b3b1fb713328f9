"""Elementwise layers in PyTorch: one call of :mod:`.functions` with its operands broadcast."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional

from headroom.graph.layer import Layer
from headroom.graph.work import Elementwise
from headroom.measure.backends.torch_ops.binding import Step, Tensors
from headroom.measure.backends.torch_ops.functions import BINARY, UNARY, VARIADIC
from headroom.measure.bench import UnsupportedError
from headroom.measure.roles import broadcasts_to, operands_of


def bind(layer: Layer, constants: Tensors) -> Step:
    work = layer.work
    assert isinstance(work, Elementwise)
    names = [operand.name for operand in operands_of(layer)]
    function = work.function
    if function in _SPECIAL and names:
        return _SPECIAL[function](layer, names)
    if function in VARIADIC and len(names) > 2:
        return _variadic(function, names)
    if function in UNARY and len(names) == 1:
        unary = UNARY[function]
        return lambda tensors: unary(tensors[names[0]])
    if function in VARIADIC and function not in BINARY:
        return _variadic(function, names)
    if function in BINARY and len(names) in (1, 2):
        _require_broadcast(layer)
        return _binary(function, names)
    raise UnsupportedError(f"no implementation of {function} with {len(names)} operands in PyTorch")


def _binary(function: str, names: list[str]) -> Step:
    """The second operand may be a number in the model, or the first one again: both read one tensor."""
    binary, number = BINARY[function]
    if len(names) == 1:
        return lambda tensors: binary(tensors[names[0]], number)
    return lambda tensors: binary(tensors[names[0]], tensors[names[1]])


def _require_broadcast(layer: Layer) -> None:
    """Files exist whose gradients have other shapes than what they are gradients of."""
    for operand in operands_of(layer):
        if not broadcasts_to(operand.shape, layer.outputs[0].shape):
            raise UnsupportedError(f"an operand of {operand.shape} does not spread over {layer.outputs[0].shape}")


def _variadic(function: str, names: list[str]) -> Step:
    join = VARIADIC[function]

    def run(tensors: Tensors) -> Tensor:
        values = [tensors[name] for name in names]
        total = reduce(join, values) if len(values) > 1 else values[0].clone()
        return total / len(values) if function == "mean" else total

    return run


def _where(layer: Layer, names: list[str]) -> Step:
    """A condition and what it chooses from; a choice that the model wrote as a number is 0 or 1."""
    conditions = [t.name for t in operands_of(layer) if t.element == "bool"]
    if len(conditions) != 1:
        raise UnsupportedError("the choice reads no condition, or several")
    choices = [name for name in names if name != conditions[0]]

    def run(tensors: Tensors) -> Tensor:
        condition = tensors[conditions[0]]
        if not choices:
            return torch.where(condition, 1.0, 0.0)
        if len(choices) == 1:
            return tensors[choices[0]].masked_fill(condition, 0.0)
        return torch.where(condition, tensors[choices[0]], tensors[choices[1]])

    return run


def _prelu(layer: Layer, names: list[str]) -> Step:
    if len(names) != 2:
        raise UnsupportedError(f"a prelu of {len(names)} operands; it has a tensor and its slopes")
    return lambda tensors: functional.prelu(tensors[names[0]], tensors[names[1]].reshape(-1))


def _gated(layer: Layer, names: list[str]) -> Step:
    """Gate and value are the halves of one tensor along the dimension that shrinks."""
    before, after = layer.inputs[0].shape, layer.outputs[0].shape
    dims = [d for d, (a, b) in enumerate(zip(before, after, strict=True)) if a == 2 * b]
    if len(dims) != 1:
        raise UnsupportedError(f"no dimension of {before} is halved")
    return lambda tensors: functional.glu(tensors[names[0]], dims[0])


def _scaled(layer: Layer, names: list[str]) -> Step:
    """``self + value * first * second`` and ``self + value * first / second``."""
    work = layer.work
    assert isinstance(work, Elementwise)
    combine = torch.addcmul if work.function == "addcmul" else torch.addcdiv
    if len(names) != 3:
        raise UnsupportedError(f"{work.function} of {len(names)} operands; it has three")
    return lambda tensors: combine(*(tensors[name] for name in names))


def _interpolated(layer: Layer, names: list[str]) -> Step:
    if len(names) == 2:
        return lambda tensors: torch.lerp(tensors[names[0]], tensors[names[1]], 0.5)
    if len(names) != 3:
        raise UnsupportedError(f"lerp of {len(names)} operands; it has two or three")
    return lambda tensors: torch.lerp(*(tensors[name] for name in names))


def _running(layer: Layer, names: list[str]) -> Step:
    """A scan along the last dimension: the record does not say along which."""
    work = layer.work
    assert isinstance(work, Elementwise)
    scan = torch.cumsum if work.function == "cumsum" else torch.cumprod
    return lambda tensors: scan(tensors[names[0]], -1)


_SPECIAL = {
    "addcdiv": _scaled,
    "addcmul": _scaled,
    "cumprod": _running,
    "cumsum": _running,
    "glu": _gated,
    "lerp": _interpolated,
    "prelu": _prelu,
    "where": _where,
}
