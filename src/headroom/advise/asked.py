"""What an answer asks a database for: every layer of a model alone, and the parts of its fusible chains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headroom.graph.chain import Chain
from headroom.graph.chains import LONGEST_KERNEL, fusible_chains, segments
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind


def single_layers(graph: Graph) -> list[Chain | None]:
    """Each of ``graph.configurations`` as a chain of one; ``None`` for a layer that is not understood."""
    layers = (configuration.layer for configuration in graph.configurations)
    return [None if layer.kind is LayerKind.UNKNOWN else Chain.of([layer]) for layer in layers]


def chain_parts(graph: Graph, chains: Iterable[Sequence[int]]) -> dict[tuple[int, ...], Chain]:
    """The parts of ``chains`` (layers as indices) that are timed as one kernel, by their layers."""
    found: dict[tuple[int, ...], Chain] = {}
    for members in chains:
        layers = [graph.layers[index] for index in members]
        found |= {tuple(members[start:stop]): Chain.of(layers[start:stop]) for start, stop in segments(layers)}
    return found


def asked_digests(graph: Graph) -> frozenset[str]:
    """The digests of all of them."""
    parts = chain_parts(graph, fusible_chains(graph, LONGEST_KERNEL))
    return frozenset(chain.digest for chain in (*single_layers(graph), *parts.values()) if chain is not None)
