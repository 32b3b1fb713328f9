"""Arithmetic on labels: which channel each element of a tensor exists for.

A label is an integer tensor of the shape of the tensor that it describes; an element without a channel has
:data:`NONE`. Labels that repeat along an axis are views of stride 0, so that a feature map costs a channel's worth.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: The label of what no channel owns: pixels of the input, zeros of a padding.
NONE = -1


def compact(*labels: Tensor) -> tuple[Tensor, ...]:
    """The same tensors, of one shape, without the repetitions that all of them share."""
    shared = labels
    for axis in range(labels[0].ndim):
        if shared[0].shape[axis] > 1 and all(each.stride(axis) == 0 for each in shared):
            shared = tuple(each.narrow(axis, 0, 1) for each in shared)
    return shared


def is_labelled(labels: Tensor) -> bool:
    """Whether any element has a channel."""
    return bool((compact(labels)[0] >= 0).any())


def either(first: Tensor, second: Tensor) -> Tensor:
    """The first label of each element, the second where it has none."""
    first, second = torch.broadcast_tensors(first, second)
    shape = first.shape
    first, second = compact(first, second)
    return torch.where(first >= 0, first, second).expand(shape)


def spread(per_position: Tensor, axis: int, shape: torch.Size) -> Tensor:
    """One label per position of ``axis``, repeated over every other axis of ``shape``."""
    view = [1] * len(shape)
    view[axis] = per_position.numel()
    return per_position.reshape(view).expand(shape)


def pairs(first: Tensor, second: Tensor) -> Tensor:
    """The different (first, second) that meet in an element and are labels both, as a 2 x n tensor."""
    first, second = compact(*torch.broadcast_tensors(first, second))
    first, second = first.reshape(-1), second.reshape(-1)
    met = (first >= 0) & (second >= 0) & (first != second)
    return together(first[met], second[met])


def together(first: Tensor, second: Tensor) -> Tensor:
    """The different pairs of two lists of labels, as a 2 x n tensor."""
    # One number per pair: finding equal columns of a matrix takes PyTorch a hundred times as long.
    found = torch.unique(first << 32 | second)
    return torch.stack([found >> 32, found & 0xFFFFFFFF])


def present(labels: Tensor) -> Tensor:
    """The different labels of a tensor, ascending."""
    found = torch.unique(compact(labels)[0])
    return found[found >= 0]


def varies(labels: Tensor, axes: tuple[int, ...]) -> bool:
    """Whether an element's label depends on its place along one of ``axes``."""
    (labels,) = compact(labels)
    return any(labels.shape[axis] > 1 and bool((labels != labels.narrow(axis, 0, 1)).any()) for axis in axes)
