"""Attention operators: the standard one, the runtime's fused ones, and linear attention."""

from __future__ import annotations

from headroom.graph.onnx.call import Call, Value
from headroom.graph.onnx.operators.registry import Family, Form
from headroom.graph.work import Attention, Matmul, Work


def _heads_of(value: Value, heads: int) -> tuple[int, int, int, int]:
    """(batch, heads, length, width per head) of a tensor in 4D or in packed 3D form."""
    shape = value.shape
    if len(shape) == 4:
        return shape[0], shape[1], shape[2], shape[3]
    return shape[0], heads, shape[1], shape[2] // max(heads, 1)


def _required(call: Call, position: int) -> Value:
    value = call.value(position)
    if value is None:
        raise LookupError(f"input {position} is missing")
    return value


def _length(past: Value | None) -> int:
    """Positions that a cache of form (batch, heads, length, width) holds."""
    return past.shape[-2] if past is not None and len(past.shape) >= 4 else 0


def _standard(call: Call) -> Work:
    heads = int(call.attribute("q_num_heads", 0))
    kv_heads = int(call.attribute("kv_num_heads", heads))
    batch, heads, length, width = _heads_of(_required(call, 0), heads)
    _, kv_heads, keys, _ = _heads_of(_required(call, 1), kv_heads)
    _, _, _, value_width = _heads_of(_required(call, 2), kv_heads)
    causal = bool(call.attribute("is_causal", 0))
    keys += _length(call.value(4))
    return Attention(batch, heads, length, keys, width, value_width, kv_heads, causal, call.has(3))


def _multi_head(call: Call) -> Work:
    """MultiHeadAttention: query, key, value apart, or packed as (batch, length, heads, 3, width) in the query."""
    heads = int(call.attribute("num_heads"))
    query = _required(call, 0)
    masked = call.has(4) or call.has(5)
    causal = bool(call.attribute("unidirectional", 0))
    if len(query.shape) == 5:
        batch, length, _, _, width = query.shape
        return Attention(batch, heads, length, length, width, width, heads, causal, masked)
    batch, heads, length, width = _heads_of(query, heads)
    key, value = call.value(1), call.value(2)
    if key is not None and len(key.shape) == 5:
        return Attention(batch, heads, length, key.shape[1], width, width, heads, causal, masked)
    keys = length if key is None else key.shape[-2]
    value_width = width if value is None else _heads_of(value, heads)[3]
    keys += _length(call.value(6))
    return Attention(batch, heads, length, keys, width, value_width, heads, causal, masked)


def _multi_head_shape(call: Call) -> tuple[Form, ...]:
    work = _multi_head(call)
    assert isinstance(work, Attention)
    element = _required(call, 0).spec.element
    cache = (work.batch, work.heads, work.key_length)
    return (
        ((work.batch, work.query_length, work.heads * work.value_dim), element),
        ((*cache, work.head_dim), element),
        ((*cache, work.value_dim), element),
    )


def _grouped_width(call: Call) -> tuple[int, int, int]:
    """(heads, key and value heads, width per head) of a grouped-query attention, packed or not."""
    heads, kv_heads = int(call.attribute("num_heads")), int(call.attribute("kv_num_heads"))
    packed = heads if call.has(1) else heads + 2 * kv_heads
    return heads, kv_heads, _required(call, 0).shape[-1] // max(packed, 1)


def _grouped(call: Call) -> Work:
    """GroupQueryAttention: the cache's length is what it has room for once the new tokens are in it."""
    heads, kv_heads, width = _grouped_width(call)
    batch, length = _required(call, 0).shape[:2]
    keys = max(length, _length(call.value(3)) + length)
    return Attention(batch, heads, length, keys, width, width, kv_heads, causal=True, masked=False)


def _grouped_shape(call: Call) -> tuple[Form, ...]:
    heads, kv_heads, width = _grouped_width(call)
    batch, length = _required(call, 0).shape[:2]
    element = _required(call, 0).spec.element
    keys = _length(call.value(3)) + length
    cache = ((batch, kv_heads, keys, width), element)
    return (((batch, length, heads * width), element), cache, cache)


def _flex(call: Call) -> Work:
    """Operands in 4D form; scores pass through a function that the model supplies."""
    query, key, value = (_required(call, i).shape for i in range(3))
    return Attention(query[0], query[1], query[2], key[2], query[3], value[3], key[1], causal=False, masked=True)


def _linear(call: Call) -> Work:
    """A state of (key width x value width) per head, updated and read at every step.

    The plain rule costs an outer product and a product with the query; the delta rules read the state once
    more before they update it.
    """
    heads, kv_heads = int(call.attribute("q_num_heads")), int(call.attribute("kv_num_heads"))
    batch, length, packed = _required(call, 0).shape
    width = packed // max(heads, 1)
    value_width = _required(call, 2).shape[-1] // max(kv_heads, 1)
    passes = 3 if b"delta" in call.attribute("update_rule", b"linear") else 2
    return Matmul(m=length, n=value_width, k=passes * width, batch=batch * heads)


FAMILY = Family(
    describe={
        "Attention": _standard,
        "LinearAttention": _linear,
        "ai.onnx.preview::FlexAttention": _flex,
        "com.microsoft::MultiHeadAttention": _multi_head,
        "com.microsoft::GroupQueryAttention": _grouped,
    },
    shapes={
        "com.microsoft::MultiHeadAttention": _multi_head_shape,
        "com.microsoft::GroupQueryAttention": _grouped_shape,
    },
    settings={"com.microsoft::GroupQueryAttention": (5, 6)},
)
