"""Leave out layers whose results nothing needs, as every compiler and runtime does."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec


def live(
    layers: Sequence[Layer], outputs: tuple[TensorSpec, ...], effects: Collection[str] = ()
) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    """The layers that an output or a lasting write (``effects``: tensors written in place) needs, and a note.

    ``nn.MultiheadAttention`` averages its weights even where the caller throws them away. Compilers and runtimes
    drop such a layer, and with it attention would not be recognised. The note names the layers that were left
    out, so that nothing disappears silently.
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
