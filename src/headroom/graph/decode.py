"""From a model that reads a text at once to the step that writes one more token of it.

A model file holds one forward pass over S tokens: reading a prompt (*prefill*). Writing the next token (*decode*) runs
the same layers on one token, and its attention reads the keys and values of all S from a cache. That graph is derived
here: whatever is done per token is done for one; attention has one query and S keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import (
    Attention,
    Elementwise,
    Embedding,
    Free,
    Matmul,
    Movement,
    Normalization,
    Reduction,
    Softmax,
    Work,
)


@dataclass(frozen=True, slots=True)
class DecodeStep:
    """``graph`` writes one token for each of ``sequences`` texts, of which ``tokens`` are in the cache."""

    graph: Graph
    tokens: int
    sequences: int
    cached_elements: int


class _NoTextError(Exception):
    """The model is none that a step can be derived for."""


def decode_step(graph: Graph) -> DecodeStep | None:
    """The step of one token; None where the model is none that writes text, or its tokens cannot be told for certain.

    It is told by its self-attention (of one length, S) and by tokens that are looked up in a table. S must differ from
    every size of the weights of its products, because tensors say no more than sizes. Layers between tokens other than
    attention (a convolution, a recurrent cell, a gradient) have no such step.
    """
    attentions = [layer.work for layer in graph.layers if isinstance(layer.work, Attention)]
    lengths = {(work.query_length, work.key_length, work.batch) for work in attentions}
    if len(lengths) != 1:
        return None
    ((tokens, keys, sequences),) = lengths
    looked_up = any(isinstance(x.work, Embedding) and x.work.rows % tokens == 0 for x in graph.layers)
    if tokens != keys or tokens < 2 or not looked_up or tokens in _product_sizes(graph) or tokens == sequences:
        return None
    step = _Step(tokens, sequences)
    try:
        layers = tuple(step.layer(layer) for layer in graph.layers)
    except _NoTextError:
        return None
    inputs, outputs = (tuple(step.tensor(t) for t in side) for side in (graph.inputs, graph.outputs))
    cached = sum(w.batch * w.kv_heads * tokens * (w.head_dim + w.value_dim) for w in attentions)
    one = Graph(graph.name, layers, inputs, outputs, graph.batch, graph.notes)
    return DecodeStep(one, tokens, sequences, cached)


def _product_sizes(graph: Graph) -> set[int]:
    """Every size that a product's weights have, and of heads: what tokens must not be mistaken for."""
    sizes: set[int] = set()
    for layer in graph.layers:
        if isinstance(layer.work, Matmul):
            sizes.update(size for tensor in layer.weights for size in tensor.shape)
        elif isinstance(layer.work, Attention):
            sizes.update((layer.work.heads, layer.work.head_dim, layer.work.value_dim))
    return sizes


@dataclass(frozen=True, slots=True)
class _Step:
    """How sizes shrink: ``tokens`` to one, and ``tokens * sequences`` (flattened) to ``sequences``."""

    tokens: int
    sequences: int

    def layer(self, layer: Layer) -> Layer:
        outputs = tuple(self.tensor(tensor) for tensor in layer.outputs)
        if isinstance(layer.work, Attention):
            # Keys and values stand in the cache; a query, its mask's row and its output are new.
            query, *cached = layer.inputs
            keys, rest = cached[:2], cached[2:]
            inputs = (self.tensor(query), *keys, *(self.tensor(tensor) for tensor in rest))
            work = replace(layer.work, query_length=1, causal=False)
            return replace(layer, work=work, inputs=inputs, outputs=outputs, parts=())
        inputs = tuple(self.tensor(tensor) for tensor in layer.inputs)
        weights = layer.weights
        if not layer.kind.computes_gemm and layer.kind is not LayerKind.EMBEDDING:
            weights = tuple(self.tensor(tensor) for tensor in weights)  # one row of the positions' table
        read, written = _changed(layer.inputs, inputs), _changed(layer.outputs, outputs)
        return replace(
            layer, work=self._work(layer.work, read, written), inputs=inputs, weights=weights, outputs=outputs
        )

    def tensor(self, tensor: TensorSpec) -> TensorSpec:
        """``tensor`` for one token: the first dimension that counts tokens shrinks."""
        for at, size in enumerate(tensor.shape):
            if size in (self.tokens, self.tokens * self.sequences):
                small = size // self.tokens
                return replace(tensor, shape=(*tensor.shape[:at], small, *tensor.shape[at + 1 :]))
        return tensor

    def _work(self, work: Work, read: bool, written: bool) -> Work:
        """``work`` on what is left; ``read`` and ``written`` say whether its operand and its result shrank."""
        if not (read or written):
            return work
        part = self._part
        match work:
            case Matmul() if written and work.m % self.tokens == 0:
                return replace(work, m=part(work.m))
            case Matmul() if written and work.n % self.tokens == 0:
                return replace(work, n=part(work.n))
            case Elementwise() | Movement() | Normalization():
                return replace(work, elements=part(work.elements)) if written else work
            case Softmax():
                return replace(work, rows=part(work.rows))
            case Embedding():
                return replace(work, rows=part(work.rows))
            case Reduction():
                out = part(work.out_elements) if written else work.out_elements
                return replace(work, elements=part(work.elements) if read else work.elements, out_elements=out)
            case Free():
                return work
        raise _NoTextError

    def _part(self, number: int) -> int:
        if number % self.tokens:
            raise _NoTextError
        return number // self.tokens


def _changed(before: Sequence[TensorSpec], after: Sequence[TensorSpec]) -> bool:
    return any(old.shape != new.shape for old, new in zip(before, after, strict=True))
