"""Scaled dot-product attention where PyTorch says it in one operator."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

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


def written_out(
    work: Attention, operands: Sequence[TensorSpec], constants: Collection[TensorSpec], output: TensorSpec
) -> tuple[Layer, ...]:
    """The layers that an attention stands for: scores, the mask if there is one, softmax, values.

    They run instead of it where no fused implementation does. ``operands`` are query, key, value and then
    the mask, of which ``constants`` are the model's own (a learned query); the scale rides along with the
    first product.
    """

    def part(operator: str, record: Work, reads: Sequence[TensorSpec], writes: TensorSpec) -> Layer:
        inputs = tuple(tensor for tensor in reads if tensor not in constants)
        weights = tuple(tensor for tensor in reads if tensor in constants)
        return Layer(writes.name, f"aten.{operator}", record, inputs, weights, (writes,))

    query, key, value = operands[:3]
    groups, length, keys = work.batch * work.heads, work.query_length, work.key_length
    scores, masked, weighted = (
        TensorSpec(f"{output.name}.{step}", (work.batch, work.heads, length, keys), query.element)
        for step in ("scores", "masked", "weights")
    )
    layers = [part("matmul", Matmul(length, keys, work.head_dim, groups), (query, key), scores)]
    if work.masked or work.causal:
        addition = Elementwise("add", work.score_elements)
        layers.append(part("add", addition, (scores, *operands[3:]), masked))
    softmax = Softmax(work.score_elements // keys, keys)
    layers.append(part("softmax", softmax, layers[-1].outputs, weighted))
    layers.append(part("matmul", Matmul(length, work.value_dim, keys, groups), (weighted, value), output))
    return tuple(layers)
