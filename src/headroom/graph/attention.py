"""Attention written out as matrix products and a softmax, recognised as the one layer it is.

Exporters write ``softmax(scale * Q K^T + mask) V`` as a dozen nodes. A fused implementation reads Q, K, V and
the mask once and never stores the scores, so the nodes become one layer; it keeps them as its ``parts``,
which run instead of it where no fused implementation does.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.uses import Uses, joined
from headroom.graph.work import Attention, Elementwise, Free, Matmul, Movement, Softmax

#: Nodes between a product and the softmax: scale, mask, cast, reshape; longer chains are something else.
_CHAIN = 8


@dataclass(frozen=True)
class _Match:
    """Indices of the layers that make up one attention."""

    scores: int
    values: int
    members: frozenset[int]


def join_attention(
    layers: tuple[Layer, ...], outputs: Iterable[TensorSpec], batch: int, causal: Collection[str] = ()
) -> tuple[Layer, ...]:
    """Replace every written-out attention by one layer.

    Args:
        layers: a model's layers in topological order.
        outputs: the model's outputs; what they need stays visible.
        batch: samples in the model; splits (batch * heads) where a model joined them.
        causal: names of the layers that hide future positions by a constant mask. A fused implementation
            knows that mask and reads none.
    """
    uses = Uses(layers, outputs)
    replaced: dict[int, Layer] = {}
    taken: set[int] = set()
    for index, layer in enumerate(layers):
        if not isinstance(layer.work, Softmax):
            continue
        match = _match(uses, index)
        if match is not None and not match.members & taken:
            taken |= match.members
            replaced[match.values] = _layer(uses, match, batch, causal)
    return joined(layers, replaced, taken)


def _match(uses: Uses, softmax: int) -> _Match | None:
    up = _up_to_scores(uses, uses.layers[softmax].inputs[:1], 0)
    down = _down_to_values(uses, softmax)
    if up is None or down is None:
        return None
    scores, values = up[-1], down[-1]
    product, weighted = uses.layers[scores], uses.layers[values]
    assert isinstance(weighted.work, Matmul)
    score_shape = product.outputs[0].shape
    if len(score_shape) < 2 or weighted.work.k != score_shape[-1]:
        return None
    if uses.layers[softmax].work != Softmax(math.prod(score_shape[:-1]), score_shape[-1]):
        return None
    members = {softmax, *up, *down, *_scales(uses, product.inputs[0], transposes=0)}
    members.update(_scales(uses, product.inputs[1], transposes=1))
    return _Match(scores, values, frozenset(members))


def _up_to_scores(uses: Uses, candidates: tuple[TensorSpec, ...], depth: int) -> list[int] | None:
    """The layers from a softmax's input up to the product of queries and keys, that one last."""
    if depth > _CHAIN:
        return None
    for tensor in candidates:
        index = uses.maker.get(tensor.name)
        if index is None or uses.only_reader(tensor.name) is None:
            continue
        layer = uses.layers[index]
        if _is_product(layer):
            return [index]
        if _passes_through(layer):
            same_size = tuple(t for t in layer.inputs if t.elements == tensor.elements)
            found = _up_to_scores(uses, same_size, depth + 1)
            if found is not None:
                return [index, *found]
    return None


def _down_to_values(uses: Uses, softmax: int) -> list[int] | None:
    """The layers from a softmax's output down to the product with the values, that one last."""
    path: list[int] = []
    current = softmax
    for _ in range(_CHAIN):
        name = uses.layers[current].outputs[0].name
        readers = uses.readers.get(name, [])
        if name in uses.kept:
            return None
        check = next((i for i in readers if _checks_for_nan(uses, i, readers)), None)
        if check is not None:
            path.append(check)
            readers = [i for i in readers if i != check]
        if len(readers) != 1:
            return None
        current = readers[0]
        path.append(current)
        layer = uses.layers[current]
        if _is_product(layer):
            return path if layer.inputs[0].name == name else None
        if not _passes_through(layer):
            return None
    return None


def _checks_for_nan(uses: Uses, index: int, readers: list[int]) -> bool:
    """A test for rows that are masked completely; its result only steers a Where beside it."""
    layer = uses.layers[index]
    if not isinstance(layer.work, Elementwise) or layer.work.function != "isnan":
        return False
    follower = uses.only_reader(layer.outputs[0].name)
    return follower is not None and follower in readers and len(readers) == 2


def _is_product(layer: Layer) -> bool:
    """A product of two tensors that are both computed at run time."""
    return isinstance(layer.work, Matmul) and len(layer.inputs) == 2 and not layer.weights


def _passes_through(layer: Layer) -> bool:
    """Arithmetic, casts and views keep scores being scores."""
    if isinstance(layer.work, Movement):
        return layer.work.function in ("cast", "expand")
    return isinstance(layer.work, Elementwise | Free) and len(layer.outputs) == 1


def _scales(uses: Uses, operand: TensorSpec, transposes: int) -> list[int]:
    """Scaling and transposing that belongs to the score product, upwards from one of its operands.

    Keys pass one transpose on their way to ``K^T``; queries pass none.
    """
    found: list[int] = []
    pending: list[int] = []
    current = operand
    for _ in range(_CHAIN):
        index = uses.maker.get(current.name)
        if index is None or uses.only_reader(current.name) is None:
            break
        layer = uses.layers[index]
        pending.append(index)
        if len(layer.inputs) != 1 or not uses.private(index):
            break
        if _is_scale(layer):
            found, pending = [*found, *pending], []
        elif _is_transpose(layer) and transposes:
            transposes -= 1
            found, pending = [*found, *pending], []
        elif not isinstance(layer.work, Free) or _is_transpose(layer):
            break
        current = layer.inputs[0]
    return found


def _is_scale(layer: Layer) -> bool:
    """A product with, or a quotient by, a single number."""
    work = layer.work
    if not isinstance(work, Elementwise) or work.function not in ("mul", "div"):
        return False
    return all(weight.elements == 1 for weight in layer.weights)


def _is_transpose(layer: Layer) -> bool:
    return isinstance(layer.work, Movement | Free) and layer.work.function == "transpose"


def _layer(uses: Uses, match: _Match, batch: int, causal: Collection[str]) -> Layer:
    parts = tuple(uses.layers[i] for i in sorted(match.members))
    scores, values = uses.layers[match.scores], uses.layers[match.values]
    made = {tensor.name for part in parts for tensor in part.outputs}
    query, key = (_entry(uses, match, tensor) for tensor in scores.inputs)
    value = values.inputs[1]
    inputs = {tensor.name: tensor for tensor in (query, key, value)}
    reading = [part for part in parts if part.name not in causal]
    for part in reading:
        inputs.update((t.name, t) for t in part.inputs if t.name not in made and t.name not in inputs)
    weights = {t.name: t for part in reading for t in part.weights if t.elements > 1}
    work = _work(scores, values, batch, masked=len(inputs) > 3 or bool(weights))
    work = replace(work, causal=len(reading) < len(parts))
    return Layer(
        name=values.name,
        operator="Attention",
        work=work,
        inputs=tuple(inputs.values()),
        weights=tuple(weights.values()),
        outputs=values.outputs,
        module=values.module or scores.module,
        parts=parts,
    )


def _entry(uses: Uses, match: _Match, tensor: TensorSpec) -> TensorSpec:
    """Where an operand enters the match, above the scaling and transposing that belong to it."""
    while (index := uses.maker.get(tensor.name)) is not None and index in match.members:
        tensor = uses.layers[index].inputs[0]
    return tensor


def _work(scores: Layer, values: Layer, batch: int, masked: bool) -> Attention:
    assert isinstance(scores.work, Matmul)
    assert isinstance(values.work, Matmul)
    shape, keys = scores.outputs[0].shape, scores.inputs[1].shape
    *leading, length, key_length = shape
    total = math.prod(leading)
    joined_heads = total // batch if total % batch == 0 else total
    heads = leading[-1] if len(leading) >= 2 else joined_heads
    kv_heads = heads if len(keys) < 4 else min(keys[-3], heads)
    return Attention(
        batch=total // max(heads, 1),
        heads=heads,
        query_length=length,
        key_length=key_length,
        head_dim=scores.work.k,
        value_dim=values.work.n,
        kv_heads=kv_heads,
        masked=masked,
    )
