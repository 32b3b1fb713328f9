"""Did the whole model follow the batch size?"""

from __future__ import annotations

from headroom.errors import ModelError
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer


def check_scaling(given: Graph, scaled: Graph) -> None:
    """Compare a model at the batch of its example inputs with the same model at another batch.

    Layers that depend on no input (a table of position biases made from weights) keep their size; the
    multiply-adds of every other layer follow the batch exactly.

    Raises:
        ModelError: a layer does not follow; names it.
    """
    before, after = _compute_layers(given), _compute_layers(scaled)
    for one, other in zip(before, after, strict=False):
        if one.macs * scaled.batch != other.macs * given.batch:
            raise ModelError(
                f"layer {one.name!r} ({one.operator}) has {one.macs} macs at batch {given.batch} and "
                f"{other.macs} at batch {scaled.batch}, so {given.name} holds its batch size as a constant near "
                "there; compute shapes from the input's size instead"
            )
    if len(before) != len(after):
        raise ModelError(
            f"{given.name} has {len(before)} compute layers at batch {given.batch} and {len(after)} at batch "
            f"{scaled.batch}; make the number of layers independent of the batch or leave the batch as it is"
        )


def _compute_layers(graph: Graph) -> list[Layer]:
    """Layers with multiply-adds that depend on an input, directly or through others."""
    varying = {tensor.name for tensor in graph.inputs}
    for layer in graph.layers:
        if any(tensor.name in varying for tensor in layer.inputs):
            varying.update(tensor.name for tensor in layer.outputs)
    return [layer for layer in graph.layers if layer.macs and any(t.name in varying for t in layer.inputs)]
