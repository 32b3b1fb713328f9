"""Scaled dot-product attention in PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from headroom.graph.layer import Layer
from headroom.graph.work import Attention
from headroom.measure.attention_roles import attention_roles
from headroom.measure.backends.torch_ops.binding import Step, Tensors


def bind(layer: Layer, constants: Tensors) -> Step:
    """The framework's own choice among its fused kernels; the scale is ``1 / sqrt(head_dim)``."""
    work = layer.work
    assert isinstance(work, Attention)
    roles = attention_roles(layer)
    shape = layer.outputs[0].shape
    grouped = work.kv_heads != work.heads

    def run(tensors: Tensors) -> Tensor:
        query = as_heads(tensors[roles.query], work.batch, work.heads, work.query_length, work.head_dim)
        key = as_heads(tensors[roles.key], work.batch, work.kv_heads, work.key_length, work.head_dim)
        value = as_heads(tensors[roles.value], work.batch, work.kv_heads, work.key_length, work.value_dim)
        mask = _mask([tensors[name] for name in roles.masks])
        causal = work.causal and mask is None
        result = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=causal, enable_gqa=grouped
        )
        return from_heads(result, shape)

    return run


def as_heads(tensor: Tensor, batch: int, heads: int, length: int, width: int) -> Tensor:
    """A view of shape (batch, heads, length, width) of a tensor that holds these dimensions in a common order."""
    shape = tuple(tensor.shape)
    if shape == (batch, heads, length, width):
        return tensor
    if shape in ((batch, heads, width, length), (batch * heads, width, length)):
        return tensor.reshape(batch, heads, width, length).transpose(-1, -2)
    if shape in ((batch, length, heads, width), (batch, length, heads * width)):
        return tensor.reshape(batch, length, heads, width).transpose(1, 2)
    return tensor.reshape(batch, heads, length, width)


def from_heads(result: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The attention's result in the shape that the layer writes: heads apart or side by side."""
    if tuple(result.shape) == shape:
        return result
    batch, heads, length, width = result.shape
    if shape in ((batch, length, heads, width), (batch, length, heads * width)):
        return result.transpose(1, 2).reshape(shape)
    return result.reshape(shape)


def _mask(masks: list[Tensor]) -> Tensor | None:
    """One mask: additive ones are summed, a boolean one says what is kept."""
    if not masks:
        return None
    if len(masks) == 1:
        return masks[0]
    additive = [m for m in masks if m.dtype != torch.bool]
    total = sum(additive[1:], additive[0]) if additive else None
    for kept in (m for m in masks if m.dtype == torch.bool):
        total = kept if total is None else total.masked_fill(~kept, float("-inf"))
    return total
