"""Scaled dot-product attention where PyTorch says it in one operator."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.torch.call import Call
from headroom.graph.torch.registry import operators
from headroom.graph.work import Attention, Elementwise, Matmul, Softmax, Work


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


def written_out(work: Attention, operands: Sequence[TensorSpec], output: TensorSpec) -> tuple[Layer, ...]:
    """The layers that an attention stands for: scores, the mask if there is one, softmax, values.

    They run instead of it where no fused implementation does. ``operands`` are query, key, value and then
    the mask; the scale rides along with the first product.
    """
    query, key, value, *mask = operands
    groups = work.batch * work.heads
    shape = (work.batch, work.heads, work.query_length, work.key_length)
    last = TensorSpec(f"{output.name}.scores", shape, query.element)
    product = Matmul(work.query_length, work.key_length, work.head_dim, groups)
    layers = [_part("matmul", product, (query, key), last)]
    if mask or work.causal:
        masked = TensorSpec(f"{output.name}.masked", shape, query.element)
        layers.append(_part("add", Elementwise("add", work.score_elements), (last, *mask), masked))
        last = masked
    weights = TensorSpec(f"{output.name}.weights", shape, query.element)
    rows = work.score_elements // work.key_length
    layers.append(_part("softmax", Softmax(rows, work.key_length), (last,), weights))
    product = Matmul(work.query_length, work.value_dim, work.key_length, groups)
    layers.append(_part("matmul", product, (weights, value), output))
    return tuple(layers)


def _part(operator: str, work: Work, inputs: tuple[TensorSpec, ...], output: TensorSpec) -> Layer:
    return Layer(output.name, f"aten.{operator}", work, inputs, (), (output,))
