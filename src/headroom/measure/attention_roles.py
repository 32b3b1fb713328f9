"""Which operand of an attention layer is query, key, value or mask."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.graph.chain import FLOATING
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Attention
from headroom.measure.bench import UnsupportedError
from headroom.measure.roles import broadcasts_to, operands_of


@dataclass(frozen=True, slots=True)
class AttentionRoles:
    """Names of an attention's tensors; query, key and value may be one and the same."""

    query: str
    key: str
    value: str
    masks: tuple[str, ...]


def attention_roles(layer: Layer) -> AttentionRoles:
    """Query, key and value by their sizes in order, and the masks that spread over the scores.

    Raises:
        UnsupportedError: the operands are packed into one tensor, come from a cache, or the mask is missing.
    """
    work = layer.work
    assert isinstance(work, Attention)
    rest = list(operands_of(layer))
    sizes = (
        work.batch * work.heads * work.query_length * work.head_dim,
        work.batch * work.kv_heads * work.key_length * work.head_dim,
        work.batch * work.kv_heads * work.key_length * work.value_dim,
    )
    found: list[TensorSpec] = []
    for size in sizes:
        chosen = next((t for t in rest if t.elements == size and t.element == FLOATING), None)
        if chosen is not None:
            rest.remove(chosen)
        else:
            chosen = next((t for t in reversed(found) if t.elements == size), None)
        if chosen is None:
            raise UnsupportedError("query, key and value are packed into one tensor or come from a cache")
        found.append(chosen)
    scores = (work.batch, work.heads, work.query_length, work.key_length)
    masks = tuple(t.name for t in rest if t.elements > 1 and broadcasts_to(t.shape, scores))
    if work.masked and not masks:
        raise UnsupportedError("the attention is masked, but none of its operands spreads over the scores")
    return AttentionRoles(found[0].name, found[1].name, found[2].name, masks)
