"""Tensors brought into the order of memory that a library was told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def arranged(tensor: Tensor, dims: Sequence[int], strides: Sequence[int]) -> Tensor:
    """``tensor`` viewed in ``dims``, in memory by ``strides``: itself if it lies so already, else a copy."""
    viewed = tensor.reshape(*dims)
    if lies_by(viewed, strides):
        return viewed
    import torch

    copy = torch.empty_strided(tuple(dims), tuple(strides), dtype=tensor.dtype, device=tensor.device)
    return copy.copy_(viewed)


def stored(tensor: Tensor, dims: Sequence[int], strides: Sequence[int]) -> Tensor:
    """A view by ``strides`` of all the elements of a tensor that is stored row by row."""
    return tensor.reshape(-1).as_strided(tuple(dims), tuple(strides))


def lies_by(tensor: Tensor, strides: Sequence[int]) -> bool:
    """Whether the elements of ``tensor`` lie by ``strides``; that of a dimension of 1 is never stepped along."""
    return all(
        own == wanted for size, own, wanted in zip(tensor.shape, tensor.stride(), strides, strict=True) if size > 1
    )
