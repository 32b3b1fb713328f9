"""What follows the walk: recognise what the user's code writes out."""

from __future__ import annotations

from collections.abc import Collection

from headroom.graph.attention import join_attention
from headroom.graph.layer import Layer
from headroom.graph.patterns import join_patterns
from headroom.graph.stacks import join_stacks
from headroom.graph.tensor import TensorSpec


def recognised(
    layers: tuple[Layer, ...], outputs: tuple[TensorSpec, ...], batch: int, causal: Collection[str]
) -> tuple[Layer, ...]:
    """Attention, normalisations, activations and stacks that the user's code writes out, as one layer again.

    ``causal`` names the layers that hide future positions by a constant mask.
    """
    joined = join_attention(layers, outputs, batch, causal)
    return join_stacks(join_patterns(joined, outputs), outputs)
