"""Normalisations in PyTorch. Statistics, scale and shift come in the order that both readers give them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from headroom.graph.chain import FLOATING
from headroom.graph.layer import Layer
from headroom.graph.work import Normalization
from headroom.measure.backends.torch_ops.binding import Step, Tensors
from headroom.measure.bench import UnsupportedError

#: Added to the variance. Records do not hold it and no time depends on it.
EPSILON = 1e-5

_Run = Callable[[Tensor, list[Tensor]], Tensor]


def bind(layer: Layer, constants: Tensors) -> Step:
    work = layer.work
    assert isinstance(work, Normalization)
    make = _FUNCTIONS.get(work.function)
    if make is None:
        raise UnsupportedError(f"no implementation of {work.function} normalisation in PyTorch")
    first, *others = [*layer.inputs, *layer.weights]
    if first.element != FLOATING or first.elements != work.elements:
        raise UnsupportedError(f"the {work.function} normalisation's first operand is not what it normalises")
    # A second operand of full size is added before the statistics are taken (skip connections in one operator).
    added = [tensor.name for tensor in others if tensor.shape == first.shape and tensor in layer.inputs]
    rest = [tensor.name for tensor in others if tensor.name not in added]
    run = make(work, first.shape)

    def step(tensors: Tensors) -> Tensor:
        values = tensors[first.name]
        for name in added:
            values = values + tensors[name]
        return run(values, [tensors[name] for name in rest])

    return step


def _at(values: list[Tensor], index: int) -> Tensor | None:
    return values[index].reshape(-1) if index < len(values) else None


def _batch(work: Normalization, shape: tuple[int, ...]) -> _Run:
    """At inference: scale, shift, mean, variance; without an affine part only mean and variance."""
    trains = work.group_elements > 0

    def run(values: Tensor, rest: list[Tensor]) -> Tensor:
        if trains:
            return functional.batch_norm(values, None, None, _at(rest, 0), _at(rest, 1), training=True, eps=EPSILON)
        if len(rest) not in (2, 4):
            raise UnsupportedError(f"a batch normalisation of {len(rest)} constants; PyTorch's takes 2 or 4")
        scale, shift = (_at(rest, 0), _at(rest, 1)) if len(rest) == 4 else (None, None)
        return functional.batch_norm(
            values, _at(rest, -2 + len(rest)), _at(rest, -1 + len(rest)), scale, shift, eps=EPSILON
        )

    return run


def _instance(work: Normalization, shape: tuple[int, ...]) -> _Run:
    return lambda values, rest: functional.instance_norm(values, None, None, _at(rest, 0), _at(rest, 1), eps=EPSILON)


def _group(work: Normalization, shape: tuple[int, ...]) -> _Run:
    groups = math.prod(shape[1:]) // work.group_elements
    return lambda values, rest: functional.group_norm(values, groups, _at(rest, 0), _at(rest, 1), EPSILON)


def _trailing(work: Normalization, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The last dimensions that hold one group, or ``None`` where the group lies elsewhere."""
    for start in reversed(range(len(shape))):
        if math.prod(shape[start:]) == work.group_elements:
            return shape[start:]
    return None


def _layer(work: Normalization, shape: tuple[int, ...]) -> _Run:
    trailing = _trailing(work, shape)
    if trailing is None:
        return _over_one_dimension(work, shape, centred=True)

    def run(values: Tensor, rest: list[Tensor]) -> Tensor:
        return functional.layer_norm(values, trailing, _form(rest, 0, trailing), _form(rest, 1, trailing), EPSILON)

    return run


def _rms(work: Normalization, shape: tuple[int, ...]) -> _Run:
    trailing = _trailing(work, shape)
    if trailing is None:
        return _over_one_dimension(work, shape, centred=False)
    return lambda values, rest: functional.rms_norm(values, trailing, _form(rest, 0, trailing), EPSILON)


def _form(rest: list[Tensor], index: int, shape: tuple[int, ...]) -> Tensor | None:
    if index >= len(rest) or rest[index].numel() != math.prod(shape):
        return None
    return rest[index].reshape(shape)


def _over_one_dimension(work: Normalization, shape: tuple[int, ...], *, centred: bool) -> _Run:
    """Statistics along a dimension that is not the last: over the channels of an image."""
    dim = next((d for d, size in enumerate(shape) if d and size == work.group_elements), None)
    if dim is None:
        raise UnsupportedError(f"no dimension of {shape} has the {work.group_elements} values of a group")
    channels = [1] * len(shape)
    channels[dim] = shape[dim]

    def run(values: Tensor, rest: list[Tensor]) -> Tensor:
        if centred:
            values = values - values.mean(dim, keepdim=True)
        result = values * torch.rsqrt(values.square().mean(dim, keepdim=True) + EPSILON)
        if rest:
            result = result * rest[0].reshape(channels)
        return result + rest[1].reshape(channels) if len(rest) > 1 else result

    return run


def _local_response(work: Normalization, shape: tuple[int, ...]) -> _Run:
    return lambda values, rest: functional.local_response_norm(values, work.group_elements)


def _lp(work: Normalization, shape: tuple[int, ...]) -> _Run:
    dims = [d for d, size in enumerate(shape) if size == work.group_elements]
    if not dims:
        raise UnsupportedError(f"no dimension of {shape} has the {work.group_elements} values of a group")
    return lambda values, rest: functional.normalize(values, dim=dims[-1])


_FUNCTIONS: dict[str, Callable[[Normalization, tuple[int, ...]], _Run]] = {
    "batch": _batch,
    "group": _group,
    "instance": _instance,
    "layer": _layer,
    "local_response": _local_response,
    "lp": _lp,
    "rms": _rms,
}
