"""Scaled dot-product attention where PyTorch says it in one operator."""

from __future__ import annotations

import math

from headroom.graph.torch.call import Call
from headroom.graph.torch.registry import operators
from headroom.graph.work import Attention, Work


@operators("scaled_dot_product_attention")
def attention(call: Call) -> Work:
    """Query (..., heads, length, head_dim); a query without a heads dimension has one head."""
    query, key, value = (call.operand(name).shape for name in ("query", "key", "value"))
    return Attention(
        batch=math.prod(query[:-3]),
        heads=query[-3] if len(query) > 2 else 1,
        query_length=query[-2],
        key_length=key[-2],
        head_dim=query[-1],
        value_dim=value[-1],
        kv_heads=key[-3] if len(key) > 2 else 1,
        causal=bool(call.get("is_causal")),
        masked=call.get("attn_mask") is not None,
    )
