"""Normalisations with statistics of their own, and constant ones as a scale and a shift."""

from __future__ import annotations

import math
from typing import Any

from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Normalization
from headroom.measure.backends.cudnn.draft import Draft, Source
from headroom.measure.backends.geometry import fold
from headroom.measure.backends.geometry.frame import Frame, Shape, image
from headroom.measure.backends.geometry.memory import stored
from headroom.measure.bench import Operands, UnsupportedError


def describe(draft: Draft, layer: Layer) -> tuple[Any, Frame]:
    """Layer and RMS normalisation over the last dimensions, and instance normalisation.

    Raises:
        UnsupportedError: the normalisation is another, or a second tensor is added before it.
    """
    work = layer.work
    assert isinstance(work, Normalization)
    values, *others = (*layer.inputs, *layer.weights)
    if any(spec.shape == values.shape for spec in others):
        raise UnsupportedError(f"the {work.function} normalisation adds a second tensor first")
    if work.function in ("layer", "rms"):
        return _trailing(draft, work, values, others)
    if work.function == "instance" and len(values.shape) in (4, 5):
        return _instance(draft, values, others)
    raise UnsupportedError(f"cuDNN's graphs have no {work.function} normalisation of {len(values.shape)} dimensions")


def _trailing(draft: Draft, work: Normalization, values: TensorSpec, others: list[TensorSpec]) -> tuple[Any, Frame]:
    """Rows of ``group_elements`` values each, as (rows, values, 1, 1) in any order of memory."""
    shape, group = values.shape, work.group_elements
    split = next((i for i in range(len(shape)) if math.prod(shape[i:]) == group), None)
    if split is None:
        raise UnsupportedError(f"{work.function} normalisation over other dimensions than the last of {shape}")
    frame = Frame(shape, (tuple(range(split)), tuple(range(split, len(shape))), (), ()))
    dims = (1, group, 1, 1)
    arguments = _affine_arguments(draft, values, others, dims, shift=work.function == "layer")
    make = draft.graph.layernorm if work.function == "layer" else draft.graph.rmsnorm
    value, *_ = make(
        norm_forward_phase=draft.library.norm_forward_phase.INFERENCE,
        input=draft.operand(values, frame.dims),
        epsilon=draft.number(fold.EPSILON),
        **arguments,
    )
    return value, frame


def _instance(draft: Draft, values: TensorSpec, others: list[TensorSpec]) -> tuple[Any, Frame]:
    frame = image(values.shape, len(values.shape) - 2, draft.layout)
    dims = (1, values.shape[1], *[1] * (len(frame.dims) - 2))
    value, *_ = draft.graph.instancenorm(
        norm_forward_phase=draft.library.norm_forward_phase.INFERENCE,
        input=draft.operand(values, frame.dims),
        epsilon=draft.number(fold.EPSILON),
        **_affine_arguments(draft, values, others, dims, shift=True),
    )
    return value, frame


def _affine_arguments(
    draft: Draft, values: TensorSpec, others: list[TensorSpec], dims: Shape, *, shift: bool
) -> dict[str, Any]:
    """Scale and shift; ones and zeros where the layer has none, which the library reads all the same."""
    neutral = {"scale": 1.0, "bias": 0.0} if shift else {"scale": 1.0}
    arguments = {}
    for index, (name, number) in enumerate(neutral.items()):
        if index < len(others):
            arguments[name] = draft.operand(others[index], dims)
        else:
            arguments[name] = draft.feed(dims, _constant(values.name, dims, number))
    return arguments


def _constant(like: str, dims: Shape, number: float) -> Source:
    return lambda operands: operands.tensor(like).new_full(dims, number)


def affine(draft: Draft, frame: Frame, run: fold.Affine, channel: Shape, value: Any) -> Any:
    """A run of constant scales and shifts on a value of the graph: times a vector, plus a vector."""
    like = run.layers[0].weights[0].name
    strides = frame.operand_strides(channel)

    def vector(index: int) -> Any:
        def make(operands: Operands) -> Any:
            values = run.scale_and_shift(operands)[index].to(operands.tensor(like).dtype)
            return values if strides is None else stored(values, channel, strides)

        return draft.feed(channel, make, strides)

    return draft.graph.add(draft.graph.mul(value, vector(0)), vector(1))
