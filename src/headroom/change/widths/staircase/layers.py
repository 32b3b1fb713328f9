"""A layer at another width, as a model that had it would have it: its work, its tensors, its weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from headroom.errors import UsageError
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Convolution, Matmul


def has_width(layer: Layer) -> bool:
    """Whether the layer has widths to choose: a forward convolution, or a product with one matrix of weights."""
    work = layer.work
    if isinstance(work, Convolution):
        return work.direction == "forward" and len(layer.inputs) == 1
    return isinstance(work, Matmul) and work.batch == 1 and bool(layer.weights) and len(layer.weights[0].shape) == 2


def widths_of(layer: Layer) -> tuple[int, int]:
    """Input and output width: channels, or features.

    Raises:
        UsageError: the layer has none.
    """
    work = layer.work
    if has_width(layer) and isinstance(work, Convolution):
        return work.in_channels, work.out_channels
    if has_width(layer) and isinstance(work, Matmul):
        return work.k, work.n
    raise UsageError(
        f"layer {layer.name or layer.step!r} is of kind {layer.kind} and has no width to choose: "
        "name a convolution or a linear layer"
    )


def is_tied(layer: Layer) -> bool:
    """Whether the input width follows from the output width: depthwise convolutions."""
    return isinstance(layer.work, Convolution) and layer.work.is_depthwise


def at_widths(layer: Layer, out_width: int, in_width: int | None = None) -> Layer:
    """The layer with ``out_width`` outputs and ``in_width`` inputs (its own where not given; of a depthwise
    convolution as many as the outputs need).

    Raises:
        UsageError: the layer has no such widths; its groups do not divide one of them.
    """
    own_in, own_out = widths_of(layer)
    if is_tied(layer):
        in_width = out_width * own_in // own_out
    in_width = own_in if in_width is None else in_width
    if min(in_width, out_width) < 1:
        raise UsageError(f"a width of {min(in_width, out_width)}: widths are whole numbers from 1")
    if isinstance(layer.work, Convolution):
        return _convolution(layer, layer.work, in_width, out_width)
    assert isinstance(layer.work, Matmul)
    return _product(layer, layer.work, in_width, out_width)


def _convolution(layer: Layer, work: Convolution, in_width: int, out_width: int) -> Layer:
    groups = in_width if work.is_depthwise else work.groups
    if in_width % groups or out_width % groups:
        raise UsageError(
            f"layer {layer.name or layer.step!r} has {groups} groups, which do not divide {in_width} inputs and "
            f"{out_width} outputs: take multiples"
        )
    filters = layer.weights[:1] and (_resized(layer.weights[0], {0: out_width, 1: in_width // groups}),)
    return replace(
        layer,
        work=replace(work, in_channels=in_width, out_channels=out_width, groups=groups),
        inputs=_each(layer.inputs, {1: in_width}),
        weights=(*filters, *_each(layer.weights[1:], {0: out_width})),
        outputs=_each(layer.outputs, {1: out_width}),
        parts=(),
    )


def _product(layer: Layer, work: Matmul, in_width: int, out_width: int) -> Layer:
    sizes = (out_width, in_width) if _rows_are_outputs(layer, work) else (in_width, out_width)
    return replace(
        layer,
        work=replace(work, k=in_width, n=out_width),
        inputs=_each(layer.inputs, {-1: in_width}),
        weights=(_resized(layer.weights[0], dict(enumerate(sizes))), *_each(layer.weights[1:], {-1: out_width})),
        outputs=_each(layer.outputs, {-1: out_width}),
        parts=(),
    )


def _rows_are_outputs(layer: Layer, work: Matmul) -> bool:
    """Whether the weights are stored as outputs x inputs. Of a square matrix the operator tells."""
    if work.k != work.n:
        return layer.weights[0].shape == (work.n, work.k)
    product = layer.parts[0] if layer.parts else layer
    return product.operator != "MatMul"


def _each(tensors: Iterable[TensorSpec], sizes: dict[int, int]) -> tuple[TensorSpec, ...]:
    return tuple(_resized(tensor, sizes) for tensor in tensors)


def _resized(tensor: TensorSpec, sizes: dict[int, int]) -> TensorSpec:
    shape = list(tensor.shape)
    for axis, size in sizes.items():
        shape[axis] = size
    return TensorSpec(tensor.name, tuple(shape), tensor.element)
