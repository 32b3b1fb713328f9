"""A chain of layers as one graph of cuDNN: its first layer, then what follows it, operation by operation.

A BatchNorm of constant statistics that follows a product at once is folded into the product's weights and bias before
anything is timed, as deployment does; elsewhere it is a scale and a shift.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Attention, Convolution, Elementwise, Matmul, Normalization
from headroom.measure.backends.cudnn import attention, convolution, normalization, pointwise, product
from headroom.measure.backends.cudnn.draft import Draft, Feed, Result
from headroom.measure.backends.geometry import fold
from headroom.measure.backends.geometry.frame import Frame, Shape, merged, plain
from headroom.measure.bench import UnsupportedError
from headroom.measure.roles import operands_of


@dataclass(frozen=True, slots=True)
class Description:
    """A graph, not yet given to the library, with what feeds it and what it writes."""

    graph: Any
    feeds: tuple[Feed, ...]
    result: Result


def forms_of(chain: Chain, layout: str) -> tuple[str, ...]:
    """Ways to describe ``chain`` that compute the same and that the library treats differently.

    Engines that fuse freely take channels last only, so that other layouts have the recognised pattern alone.
    """
    if not isinstance(chain.anchor.work, Convolution) or not convolution.has_forms(chain.layers):
        return ("",)
    return ("pattern", "written") if layout == "nhwc" else ("pattern",)


def describe(chain: Chain, dtype: DataType, layout: str, form: str = "", **options: Any) -> Description:
    """The graph of ``chain``.

    Args:
        form: one of :func:`forms_of`.
        options: what the graph is made for, as :class:`headroom.measure.backends.cudnn.draft.Draft` takes it.

    Raises:
        UnsupportedError: a layer of the chain has no operation in cuDNN, or its operands do not fit one.
    """
    for layer in chain.layers:
        if len(layer.outputs) != 1:
            raise UnsupportedError(f"{layer.step} writes {len(layer.outputs)} tensors; one is described")
    draft = Draft(dtype, layout, **options)
    value, frame, used = _first(draft, chain, form)
    while used < len(chain.layers):
        made = {chain.layers[used - 1].outputs[0].name: value} if used else {}
        value, used = _follow(draft, frame, chain.layers, used, made)
    result = chain.outputs[0]
    if result.elements != math.prod(frame.dims):
        raise UnsupportedError(f"the result of shape {result.shape} is not in the form of {frame.shape}")
    return Description(draft.graph, tuple(draft.feeds), draft.write(value, result, frame))


def _first(draft: Draft, chain: Chain, form: str) -> tuple[Any, Frame, int]:
    """The value and view of the layers that are described together, and how many these are."""
    layer = chain.anchor
    work = layer.work
    if isinstance(work, Convolution):
        return convolution.describe(draft, chain.layers, form)
    if isinstance(work, Matmul):
        return product.describe(draft, chain.layers)
    if isinstance(work, Attention):
        return *attention.describe(draft, layer), 1
    if isinstance(work, Normalization) and not fold.is_batch_norm(layer):
        return *normalization.describe(draft, layer), 1
    if isinstance(work, Elementwise | Normalization):
        return None, _pointwise_frame(draft, chain), 0
    raise UnsupportedError(f"cuDNN's graphs have no {layer.step}")


def _pointwise_frame(draft: Draft, chain: Chain) -> Frame:
    shape = chain.anchor.outputs[0].shape
    if draft.layout == "nhwc":
        return plain(shape, draft.layout)
    spreads = [spec.shape for layer in chain.layers for spec in layer.inputs]
    for layer in chain.layers:
        if fold.is_batch_norm(layer):
            spreads.append(_channel_shape(shape))
        else:
            spreads += [spec.shape for spec in layer.weights]
    return merged(shape, spreads)


def _channel_shape(shape: Shape) -> Shape:
    """The shape that spreads one value per channel, the dimension behind the batch, over ``shape``."""
    if len(shape) < 2:
        raise UnsupportedError(f"a tensor of shape {shape} has no channels")
    return (shape[1], *[1] * (len(shape) - 2))


def _follow(draft: Draft, frame: Frame, layers: Sequence[Layer], at: int, made: dict[str, Any]) -> tuple[Any, int]:
    """Elementwise work on values in the view ``frame``, from ``layers[at]`` on; ``made`` are values of the graph.

    Returns the new value and the place behind the layers that it covers.
    """
    layer = layers[at]

    def read(spec: TensorSpec) -> Any:
        if spec.name in made:
            return made[spec.name]
        dims = frame.operand(spec.shape)
        return draft.operand(spec, dims, frame.operand_strides(dims))

    if fold.is_batch_norm(layer):
        channel = frame.operand(_channel_shape(frame.shape))
        run = fold.affine_run(layers[at:], frame, channel)
        if run is None:
            raise UnsupportedError(f"a batch normalisation of {len(layer.weights)} constants; 2 or 4 are computed")
        return normalization.affine(draft, frame, run, channel, read(layer.inputs[0])), at + len(run.layers)
    if not isinstance(layer.work, Elementwise):
        raise UnsupportedError(f"cuDNN's graphs run no {layer.step} behind another layer")
    operands = [read(spec) for spec in operands_of(layer)]
    return pointwise.apply(draft, layer.work.function, operands), at + 1
