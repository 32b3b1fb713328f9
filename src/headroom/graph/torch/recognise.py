"""What follows the walk: leave out dead code, and recognise what the user's code writes out."""

from __future__ import annotations

from collections.abc import Collection

from headroom.graph.attention import join_attention
from headroom.graph.layer import Layer
from headroom.graph.patterns import join_patterns
from headroom.graph.stacks import join_stacks
from headroom.graph.tensor import TensorSpec


def live(
    layers: list[Layer], outputs: tuple[TensorSpec, ...], effects: Collection[str]
) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    """The layers that an output or a lasting write (``effects``: tensors written in place) needs, and a note.

    ``nn.MultiheadAttention`` averages its weights even where the caller throws them away. A compiler drops
    such a layer, an exporter to ONNX too, and with it attention would not be recognised. The note names the
    layers that were left out, so that nothing disappears silently.
    """
    needed = {tensor.name for tensor in outputs} | set(effects)
    kept, dead = [], []
    for layer in reversed(layers):
        if any(tensor.name in needed for tensor in layer.outputs):
            kept.append(layer)
            needed.update(tensor.name for tensor in layer.inputs)
        elif layer.kind.does_work:
            dead.append(layer)
    return tuple(reversed(kept)), _note_on(dead[::-1])


def _note_on(dead: list[Layer]) -> tuple[str, ...]:
    if not dead:
        return ()
    places = ", ".join(dict.fromkeys(layer.module or layer.operator for layer in dead))
    return (f"left out {len(dead)} layer(s) whose results nothing reads, in {places}",)


def recognised(
    layers: tuple[Layer, ...], outputs: tuple[TensorSpec, ...], batch: int, causal: Collection[str]
) -> tuple[Layer, ...]:
    """Attention, normalisations, activations and stacks that the user's code writes out, as one layer again.

    ``causal`` names the layers that hide future positions by a constant mask.
    """
    joined = join_attention(layers, outputs, batch, causal)
    return join_stacks(join_patterns(joined, outputs), outputs)
