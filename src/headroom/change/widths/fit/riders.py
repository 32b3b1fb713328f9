"""Layers that follow the widths of others: BatchNorm, activations and poolings are as wide as what they read,
concatenations as all of it together, so that widening a convolution makes them longer as well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any

from headroom.change.widths.fit.network import Network
from headroom.change.widths.solve.problem import Width
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Convolution

#: Kinds whose outputs have the channels of their inputs.
_FOLLOWING = frozenset(
    {LayerKind.NORMALIZATION, LayerKind.ACTIVATION, LayerKind.ELEMENTWISE, LayerKind.POOLING, LayerKind.FREE}
)

#: Operators that put channels beside each other.
_JOINING = frozenset({"cat", "concat", "concatenate"})

#: What a layer's work counts that grows with its channels.
_COUNTS = ("elements", "out_elements")


@dataclass(frozen=True)
class Rider:
    """A layer that is as wide as what it reads; ``axis`` is where its tensors have their channels."""

    layer: Layer
    width: Width
    own: int
    axis: int

    def at(self, width: int) -> Layer:
        """The layer over ``width`` channels."""
        work: Any = self.layer.work
        counts = {each.name: getattr(work, each.name) for each in fields(work) if each.name in _COUNTS}
        return replace(
            self.layer,
            work=replace(work, **{name: count * width // self.own for name, count in counts.items()}),
            inputs=tuple(self._resized(*pair) for pair in zip(self.layer.inputs, self._inputs(width), strict=True)),
            weights=tuple(_vector(tensor, self.own, width) for tensor in self.layer.weights),
            outputs=tuple(self._resized(tensor, width) for tensor in self.layer.outputs),
        )

    def _inputs(self, width: int) -> list[int]:
        """The width of each input: the layer's own, or shares of it where it joins them, whose proportion no time
        depends on."""
        sizes = [tensor.shape[self.axis] if self.axis < len(tensor.shape) else 0 for tensor in self.layer.inputs]
        if not _joins(self.layer):
            return [width if size == self.own else size for size in sizes]
        shares = [size * width // self.own for size in sizes]
        return [shares[0] + width - sum(shares), *shares[1:]]

    def _resized(self, tensor: TensorSpec, width: int) -> TensorSpec:
        if len(tensor.shape) <= self.axis:
            return tensor
        shape = [width if axis == self.axis else size for axis, size in enumerate(tensor.shape)]
        return replace(tensor, shape=tuple(shape))


def riders_of(network: Network) -> tuple[Rider, ...]:
    """Every layer of the network that follows a width that can move, in order.

    What reads its channels through a reshape or an attention is not among them: its time is taken to stay as it is.
    """
    return tuple(_riders(network))


def _riders(network: Network) -> Iterator[Rider]:
    wide = {id(each.layer): each for each in network.layers}
    known: dict[str, tuple[Width, int]] = {}
    widths = network.widths
    for layer in network.graph.layers:
        if id(layer) in wide:
            axis = 1 if isinstance(layer.work, Convolution) else len(layer.outputs[0].shape) - 1
            known[layer.outputs[0].name] = (wide[id(layer)].outputs, axis)
            continue
        found = (_joined if _joins(layer) else _followed)(layer, known, widths)
        if found is None:
            continue
        width, axis = found
        known.update({tensor.name: found for tensor in layer.outputs})
        if layer.kind.does_work and width.parts:
            yield Rider(layer, width, width.at(widths), axis)


def _followed(
    layer: Layer, known: Mapping[str, tuple[Width, int]], widths: Mapping[str, int]
) -> tuple[Width, int] | None:
    """The width that the layer takes over from what it reads, if its tensors show it in the same place."""
    if layer.kind not in _FOLLOWING or not layer.outputs:
        return None
    for tensor in layer.inputs:
        if tensor.name in known:
            width, axis = known[tensor.name]
            shape, own = layer.outputs[0].shape, width.at(widths)
            if axis < len(shape) and shape[axis] == own and len(shape) == len(tensor.shape):
                return width, axis
    return None


def _joins(layer: Layer) -> bool:
    return layer.operator.rpartition(".")[2].lower() in _JOINING


def _joined(
    layer: Layer, known: Mapping[str, tuple[Width, int]], widths: Mapping[str, int]
) -> tuple[Width, int] | None:
    """The widths of all that is put together; what cannot move counts as it is."""
    axes = {known[tensor.name][1] for tensor in layer.inputs if tensor.name in known}
    if len(axes) != 1 or any(len(tensor.shape) != len(layer.outputs[0].shape) for tensor in layer.inputs):
        return None
    (axis,) = axes
    fixed, parts = 0, dict[str, Fraction]()
    for tensor in layer.inputs:
        own = known[tensor.name][0] if tensor.name in known else Width(tensor.shape[axis])
        fixed += own.fixed
        for name, share in own.parts.items():
            parts[name] = parts.get(name, Fraction(0)) + share
    total = Width(fixed, parts)
    return (total, axis) if layer.outputs[0].shape[axis] == total.at(widths) else None


def _vector(tensor: TensorSpec, own: int, width: int) -> TensorSpec:
    """A value per channel: scales, offsets, statistics."""
    return replace(tensor, shape=(width, *tensor.shape[1:])) if tensor.shape[:1] == (own,) else tensor
