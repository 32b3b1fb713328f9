"""From a parsed ONNX model to a :class:`~headroom.graph.graph.Graph`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType

import onnx

from headroom.errors import ModelError
from headroom.graph.attention import join_attention
from headroom.graph.dead import live
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.linear import join_bias
from headroom.graph.onnx.modules import named_by_weights
from headroom.graph.onnx.rebatch import Rebatch, prove
from headroom.graph.onnx.shapes import label
from headroom.graph.onnx.symbols import Inputs, pin_inputs
from headroom.graph.onnx.walk import Walk, Walked
from headroom.graph.patterns import join_patterns
from headroom.graph.stacks import join_stacks

_TRAINING_DOMAINS = frozenset({"ai.onnx.training", "ai.onnx.preview.training"})

_NO_DIMS: Mapping[str, int] = MappingProxyType({})


def build_graph(
    model: onnx.ModelProto, *, name: str, batch: int | None = None, dims: Mapping[str, int] = _NO_DIMS
) -> Graph:
    """Understand a model whose structure has been checked.

    Weights need no contents: shapes are enough. No file is opened.

    Args:
        model: the parsed file.
        name: the graph's name, for people.
        batch: samples per run. Without it the model keeps the batch it was exported with; a batch that is a
            symbol is 1.
        dims: sizes of the other symbolic dimensions, by symbol.

    Raises:
        ModelError: a dimension stays unknown, a node does not fit its operands, or the model cannot be
            carried over to ``batch``.
    """
    if batch is not None and batch < 1:
        raise ModelError(f"a batch of {batch} was asked for; it must be at least 1")
    if batch is not None:
        _refuse_training(model, batch)
    inputs = pin_inputs(model.graph, batch, dims)
    walked = _walked(model, inputs)
    layers, dead = live(walked.layers, walked.outputs)
    return Graph(
        name=name,
        layers=_recognised(layers, walked, inputs.batch),
        inputs=inputs.target,
        outputs=walked.outputs,
        batch=inputs.batch,
        notes=(*walked.notes, *dead),
    )


def _recognised(layers: tuple[Layer, ...], walked: Walked, batch: int) -> tuple[Layer, ...]:
    """Layers that exporters wrote out as several nodes, as one again."""
    layers = join_bias(layers, walked.outputs)
    layers = join_attention(layers, walked.outputs, batch, walked.causal)
    layers = join_patterns(layers, walked.outputs)
    return named_by_weights(join_stacks(layers, walked.outputs))


def _walked(model: onnx.ModelProto, inputs: Inputs) -> Walked:
    if inputs.batch == inputs.reference_batch:
        return Walk(model, inputs.target, as_exported=inputs.as_exported).run()
    reference = Walk(model, inputs.reference).run()
    try:
        return _carried_over(model, inputs, reference, in_blocks=False)
    except ModelError as refusal:
        # Where a batch of 1 goes in a reshape may be a guess; the proof decides whether the other one is right.
        with suppress(ModelError):
            return _carried_over(model, inputs, reference, in_blocks=True)
        raise refusal


def _carried_over(model: onnx.ModelProto, inputs: Inputs, reference: Walked, *, in_blocks: bool) -> Walked:
    repair = Rebatch(reference, inputs.reference_batch, inputs.batch, inputs.batched, in_blocks=in_blocks)
    walked = Walk(model, inputs.target, repair).run()
    prove(reference, walked, inputs.reference_batch, inputs.batch, inputs.batched)
    return walked


def _refuse_training(model: onnx.ModelProto, batch: int) -> None:
    """Gradients of weights do not grow with the batch, so a training graph cannot be carried over."""
    for node in model.graph.node:
        gradient = node.domain not in ("", "ai.onnx") and node.op_type.endswith(("Grad", "Grad_13", "Grad_dX"))
        if gradient or node.domain in _TRAINING_DOMAINS:
            raise ModelError(
                f"--batch {batch} does not work for a training graph (node {label(node)} computes gradients); "
                "export the training step with that batch"
            )
