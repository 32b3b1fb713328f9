"""A graph's layers as the sequence that a profile is laid along."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from headroom.advise.matching.functions import canonical
from headroom.advise.matching.signature import Family, Signature
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.work import Attention

_FAMILIES = {
    LayerKind.CONVOLUTION: Family.CONVOLUTION,
    LayerKind.MATMUL: Family.PRODUCT,
    LayerKind.MATVEC: Family.PRODUCT,
    LayerKind.ATTENTION: Family.ATTENTION,
    LayerKind.RECURRENT: Family.RECURRENT,
    LayerKind.NORMALIZATION: Family.NORMALIZATION,
    LayerKind.POOLING: Family.POOLING,
    LayerKind.SOFTMAX: Family.SOFTMAX,
    LayerKind.ACTIVATION: Family.POINTWISE,
    LayerKind.ELEMENTWISE: Family.POINTWISE,
    LayerKind.REDUCTION: Family.REDUCTION,
    LayerKind.MOVEMENT: Family.MOVEMENT,
    LayerKind.EMBEDDING: Family.EMBEDDING,
}

#: Families whose constant operand tells one layer from another.
_WEIGHTED = frozenset({Family.CONVOLUTION, Family.PRODUCT, Family.EMBEDDING})

#: What surrounds the two products of an attention that no fused kernel runs: mask, scales, softmax, empty rows.
_BEFORE_SCORES = ("where", "mul", "mul")
_BEFORE_SOFTMAX = ("mul", "add")
_AFTER_SOFTMAX = (
    (Family.POINTWISE, "isneginf"), (Family.POINTWISE, "isnan"), (Family.REDUCTION, ""), (Family.POINTWISE, "where"),
)  # fmt: skip

#: Normalisations that a framework may write out, by what they compute.
_WRITTEN_OUT = {
    "local_response": ("mul", "pad", "average", "mul", "add", "pow", "mul"),
    "rms": ("pow", "average", "add", "pow", "mul", "mul"),
    "layer": ("average", "add", "pow", "average", "add", "pow", "mul", "mul", "add"),
}
_FAMILY_OF_STEP = {"pad": Family.MOVEMENT, "average": Family.REDUCTION}


@dataclass(frozen=True, slots=True)
class Atom:
    """A layer, or a piece of one that a framework may run on its own: a part of a pattern, the bias of a product.

    ``layer`` indexes the graph's layers; ``reads`` are the layers whose results it reads, views looked through. A piece
    is welcome, and not missed where it is absent. ``name`` and ``module`` are the layer's.
    """

    layer: int
    signature: Signature
    piece: bool = False
    reads: frozenset[int] = frozenset()
    name: str = ""
    module: str = ""


def atoms_of(graph: Graph) -> tuple[Atom, ...]:
    """The working layers in order, the pieces of each behind it."""
    norms = [at for at, layer in enumerate(graph.layers) if layer.kind is LayerKind.NORMALIZATION]
    normalized = {index for at in norms for index in graph.predecessors[at]}
    found: list[Atom] = []
    written_by: list[frozenset[int]] = []
    for index, layer in enumerate(graph.layers):
        reads = frozenset(maker for before in graph.predecessors[index] for maker in written_by[before])
        written_by.append(frozenset({index}) if layer.kind in _FAMILIES else reads)
        if layer.kind in _FAMILIES:
            named = partial(Atom, index, name=layer.name, module=layer.module)
            found.append(named(layer_signature(layer), reads=reads))
            found += (named(piece, piece=True) for piece in _pieces(layer, index in normalized))
    return tuple(found)


def layer_signature(layer: Layer) -> Signature:
    """What a layer asks for."""
    family = _FAMILIES[layer.kind]
    function = canonical(str(getattr(layer.work, "function", "gather" if family is Family.EMBEDDING else "")))
    source = layer.inputs[0].shape if layer.inputs else ()
    gemm = layer.gemm if family is Family.PRODUCT else None
    return Signature(
        family,
        frozenset({function} if function else ()),
        source,
        layer.weights[0].shape if layer.weights and family in _WEIGHTED else (),
        (gemm.macs, gemm.k) if gemm else None,
        layer.outputs[0].elements if layer.outputs else None,
    )


def _pieces(layer: Layer, normalized: bool) -> Iterator[Signature]:
    if isinstance(layer.work, Attention):
        yield from _attention(layer.work)
    elif layer.kind.computes_gemm:
        written = layer.outputs[0].elements if layer.outputs else None
        # Asked for or not: some exporters drop a bias that holds zeros.
        yield Signature(Family.POINTWISE, frozenset({"add", "bias"}), written=written)
        if layer.kind is LayerKind.CONVOLUTION and not normalized:
            # An exporter folds a normalisation into the weights; the framework may not.
            shape = layer.outputs[0].shape if layer.outputs else ()
            yield Signature(Family.NORMALIZATION, frozenset({"batch"}), shape, written=written)
    elif layer.kind is LayerKind.NORMALIZATION and not layer.parts:
        for function in _WRITTEN_OUT.get(str(getattr(layer.work, "function", "")), ()):
            yield _step(_FAMILY_OF_STEP.get(function, Family.POINTWISE), function)
    else:
        for part in layer.parts:
            if part.kind in _FAMILIES:
                yield layer_signature(part)


def _attention(work: Attention) -> Iterator[Signature]:
    scores = work.score_elements
    yield from (_step(Family.POINTWISE, function) for function in _BEFORE_SCORES)
    yield Signature(Family.PRODUCT, product=(scores * work.head_dim, work.head_dim))
    yield from (_step(Family.POINTWISE, function) for function in _BEFORE_SOFTMAX)
    yield _step(Family.SOFTMAX, "softmax")
    yield from (_step(family, function) for family, function in _AFTER_SOFTMAX)
    yield Signature(Family.PRODUCT, product=(scores * work.value_dim, work.key_length))


def _step(family: Family, function: str) -> Signature:
    return Signature(family, frozenset({function} if function else ()))
