"""Scaled dot-product attention: grouped key and value heads, causal, with an additive mask."""

from __future__ import annotations

from typing import Any

from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Attention
from headroom.measure.attention_roles import attention_roles
from headroom.measure.backends.cudnn.draft import Draft
from headroom.measure.backends.geometry.frame import Frame, Shape, strides_of
from headroom.measure.bench import UnsupportedError
from headroom.measure.roles import operands_of


def describe(draft: Draft, layer: Layer) -> tuple[Any, Frame]:
    """The attention in (batch, heads, length, width), each operand read where it lies.

    Raises:
        UnsupportedError: fp32, or an operand whose dimensions stand in an order the library cannot read.
    """
    work = layer.work
    assert isinstance(work, Attention)
    types = draft.library.data_type
    if draft.io not in (types.HALF, types.BFLOAT16):
        raise UnsupportedError("cuDNN's attention takes fp16 and bf16")
    roles = attention_roles(layer)
    specs = {spec.name: spec for spec in operands_of(layer)}
    query = _heads(draft, specs[roles.query], work.batch, work.heads, work.query_length, work.head_dim)
    key = _heads(draft, specs[roles.key], work.batch, work.kv_heads, work.key_length, work.head_dim)
    value = _heads(draft, specs[roles.value], work.batch, work.kv_heads, work.key_length, work.value_dim)
    options: dict[str, Any] = {"attn_scale": work.head_dim**-0.5, "generate_stats": False}
    if len(roles.masks) > 1:
        raise UnsupportedError(f"cuDNN's attention adds one mask, not {len(roles.masks)}")
    if roles.masks:
        mask = specs[roles.masks[0]]
        options["bias"] = draft.operand(mask, (1,) * (4 - len(mask.shape)) + mask.shape)
    elif work.causal:
        options["use_causal_mask"] = True
    result, _ = draft.graph.sdpa(query, key, value, **options)
    dims = (work.batch, work.heads, work.query_length, work.value_dim)
    out = layer.outputs[0].shape
    _, strides = _place(out, *dims)
    return result, Frame(dims, ((0,), (1,), (2,), (3,)), memory=strides)


def _heads(draft: Draft, spec: TensorSpec, batch: int, heads: int, length: int, width: int) -> Any:
    return draft.operand(spec, *_place(spec.shape, batch, heads, length, width))


def _place(shape: Shape, batch: int, heads: int, length: int, width: int) -> tuple[Shape, Shape]:
    """(batch, heads, length, width) and the strides at which a tensor of ``shape`` holds it: heads before length,
    length before heads, or keys already transposed."""
    dims = (batch, heads, length, width)
    if shape != dims and shape in ((batch, heads, width, length), (batch * heads, width, length)):
        b, h, w, one = strides_of((batch, heads, width, length), "")
        return dims, (b, h, one, w)
    if shape != dims and shape in ((batch, length, heads, width), (batch, length, heads * width)):
        b, step, h, one = strides_of((batch, length, heads, width), "")
        return dims, (b, h, step, one)
    return dims, strides_of(dims, "")
