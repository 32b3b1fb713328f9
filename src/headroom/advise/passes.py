"""A model's backward pass as a graph: the gradients of its layers, in the order in which a training step runs them.

Convolutions and matrix products have two gradients, which are convolutions and products of their own. What streams its
bytes reads the gradient of its output and what it saved, and writes the gradient of its input. Fused attention and
recurrent layers have no model of their backward pass: they count as unknown, with the multiply-adds that it would take.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from headroom.errors import UsageError
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.tensor import FIXED_WIDTH_BYTES, TensorSpec
from headroom.graph.work import (
    Convolution,
    Elementwise,
    Embedding,
    Free,
    Matmul,
    Movement,
    Normalization,
    Pooling,
    Reduction,
    Softmax,
    Unknown,
    Work,
)
from headroom.measure.gradients import DIRECTIONS, gradient

#: How layers of the backward pass are called, after the layer they belong to.
TITLES = {"dgrad": "input gradient", "wgrad": "weight gradient"}

#: Elementwise functions whose gradient is that of the output, unchanged.
_LINEAR = ("add", "sub", "sum", "identity")


def graph_of_passes(graph: Graph, direction: str) -> Graph:
    """The part of a training step that ``direction`` names, one of :data:`~headroom.measure.gradients.DIRECTIONS`.

    ``dgrad`` and ``wgrad`` are those gradients of convolutions and products alone; ``training`` is the forward pass and
    the whole backward pass. The optimizer's step is in none of them.

    Raises:
        UsageError: an unknown direction.
    """
    if direction not in DIRECTIONS:
        raise UsageError(f"unknown direction {direction!r}: choose {', '.join(DIRECTIONS)}")
    if direction == "forward":
        return graph
    given = frozenset(tensor.name for tensor in graph.inputs)
    passes = DIRECTIONS[direction]
    made = [made for layer in reversed(graph.layers) for made in _backward(layer, passes, given)]
    backward = tuple(_summed(made, counts="forward" in passes))
    if direction == "training":
        note = "a training step: the forward and the backward pass, without the optimizer's step"
        return replace(graph, layers=(*graph.layers, *backward), notes=(*graph.notes, note))
    note = f"the {TITLES[direction]}s of convolutions and matrix products alone, without what lies between them"
    if missing := [layer.name for layer in graph.layers if _has_no_gradient(layer)]:
        note += f", and without those of {len(missing)} that have no model: {missing[0]}"
        note += ", …" if len(missing) > 1 else ""
    outside = tuple(_gradient_of(tensor) for tensor in graph.outputs)
    return replace(graph, layers=backward, inputs=(*graph.inputs, *outside), outputs=(), notes=(*graph.notes, note))


def _summed(layers: list[Layer], *, counts: bool) -> Iterator[Layer]:
    """``layers`` with the gradients of a tensor that several layers read added up, after the last of them.

    Without the sum, whoever reads that gradient would wait for one of them only. It ``counts`` as work in a training
    step, where a library adds in a kernel of its own.
    """
    writers: dict[str, list[int]] = {}
    for index, layer in enumerate(layers):
        for tensor in layer.outputs:
            writers.setdefault(tensor.name, []).append(index)
    parts: dict[str, list[TensorSpec]] = {}
    for index, layer in enumerate(layers):
        several = [tensor for tensor in layer.outputs if len(writers[tensor.name]) > 1]
        renamed = {t.name: replace(t, name=f"{t.name}, part {len(parts.get(t.name, ())) + 1}") for t in several}
        yield replace(layer, outputs=tuple(renamed.get(tensor.name, tensor) for tensor in layer.outputs))
        for tensor in several:
            parts.setdefault(tensor.name, []).append(renamed[tensor.name])
            if index == writers[tensor.name][-1]:
                work = Elementwise("add", tensor.elements) if counts else Free("gradient")
                terms = tuple(parts[tensor.name])
                yield Layer(f"sum of {tensor.name}", "Add", work, terms, (), (tensor,), layer.module)


def _backward(layer: Layer, passes: tuple[str, ...], given: frozenset[str]) -> Iterator[Layer]:
    """What the backward pass runs for one layer, none of it for the model's own input."""
    wanted = tuple(tensor for tensor in layer.inputs if tensor.name not in given and _floats(tensor))
    if isinstance(layer.work, Convolution | Matmul):
        found = {name: gradient(layer, name) for name in passes if name != "forward"}
        if all(made is not None for made in found.values()):
            for name, made in found.items():
                if made is not None and (name == "wgrad" or wanted):
                    yield _named(made, layer, name)
            return
    if "forward" in passes:
        yield from _streaming(layer, wanted)
    elif wanted:  # the gradient passes through, so that those behind wait for those before
        yield _layer(layer, Free("gradient"), tuple(map(_gradient_of, layer.outputs)), tuple(map(_gradient_of, wanted)))


def _has_no_gradient(layer: Layer) -> bool:
    """Whether a layer multiplies, but nothing is known of its backward pass."""
    return isinstance(layer.work, Convolution | Matmul) and gradient(layer, "dgrad") is None


def _named(made: Layer, layer: Layer, name: str) -> Layer:
    """A gradient whose tensors have the names of the model's, and not the anonymous ones of a measured chain."""
    operands = (*layer.inputs, *layer.weights)
    names = {"dgrad": _gradient_name(layer.outputs[0]), "wgrad": _gradient_name(layer.outputs[0])}
    if name == "dgrad":
        inputs = (replace(made.inputs[0], name=names[name]), *made.inputs[1:])
        outputs = tuple(replace(t, name=_gradient_name(layer.inputs[0])) for t in made.outputs)
        return replace(
            made, name=f"{layer.name} ({TITLES[name]})", operator=layer.operator, module=layer.module,
            inputs=(inputs[0], *(replace(t, name=operands[-1].name) for t in inputs[1:])),
            weights=tuple(replace(t, name=_of_shape(t, layer.weights).name) for t in made.weights), outputs=outputs,
        )  # fmt: skip
    read = [operands[0].name, names["wgrad"]]
    if getattr(layer.work, "direction", "") == "dgrad":
        read.reverse()  # a transposed convolution's weight meets the gradient as its image
    return replace(
        made, name=f"{layer.name} ({TITLES[name]})", operator=layer.operator, module=layer.module,
        inputs=tuple(replace(t, name=known) for t, known in zip(made.inputs, read, strict=True)),
        outputs=tuple(replace(t, name=_gradient_name(operands[-1])) for t in made.outputs),
    )  # fmt: skip


def _of_shape(tensor: TensorSpec, among: tuple[TensorSpec, ...]) -> TensorSpec:
    return next((known for known in among if known.shape == tensor.shape), tensor)


def _streaming(layer: Layer, wanted: tuple[TensorSpec, ...]) -> Iterator[Layer]:
    """The backward pass of a layer that is no convolution or product."""
    if not wanted:
        return
    read, written = tuple(map(_gradient_of, layer.outputs)), tuple(map(_gradient_of, wanted))
    work = _backward_work(layer, wanted)
    saves = not isinstance(work, Free | Movement | Unknown)
    yield _layer(layer, work, (*read, *(wanted if saves else ())), written)


def _backward_work(layer: Layer, wanted: tuple[TensorSpec, ...]) -> Work:
    work, elements = layer.work, sum(tensor.elements for tensor in wanted)
    match work:
        case Free():
            return Free("gradient")
        case Elementwise() if work.function in _LINEAR and len({t.shape for t in (*wanted, *layer.outputs)}) == 1:
            return Free("gradient")
        case Elementwise():
            return Elementwise(f"{work.function} backward", elements, work.flops_per_element)
        case Normalization():
            return replace(work, function=f"{work.function} backward")
        case Softmax():
            return work
        case Pooling():
            return Elementwise("pooling backward", elements)
        case Movement() | Reduction():
            return Movement(f"{work.function} backward", elements)
        case Embedding():
            return Movement("embedding backward", elements)
    return Unknown(f"{layer.operator} backward", "its backward pass has no model", 2 * work.macs)


def _layer(layer: Layer, work: Work, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Layer:
    return Layer(f"{layer.name} (gradient)", layer.operator, work, inputs, (), outputs, layer.module)


def _floats(tensor: TensorSpec) -> bool:
    """Whether a tensor has a gradient: an index or a mask has none."""
    return tensor.element not in FIXED_WIDTH_BYTES


def _gradient_of(tensor: TensorSpec) -> TensorSpec:
    return replace(tensor, name=_gradient_name(tensor))


def _gradient_name(tensor: TensorSpec) -> str:
    return f"gradient of {tensor.name}"
