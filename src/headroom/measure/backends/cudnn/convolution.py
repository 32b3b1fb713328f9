"""Convolutions: forward, transposed (the input gradient's arithmetic) and the weight gradient, with their bias.

The library recognises convolution, residual, bias, activation in this order and has many kernels for it; any other
order falls to the few engines that compile a kernel at run time, and these are at times the faster ones. So a chain is
described in two forms, both of the same function: ``pattern`` adds what is residual before the bias, and a bias of
zero where the layer has none; ``written`` keeps the model's order, with a bias in fp32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Convolution, Elementwise
from headroom.measure.backends.cudnn.draft import Draft
from headroom.measure.backends.geometry import fold
from headroom.measure.backends.geometry.frame import Frame, Shape, image
from headroom.measure.bench import Operands, UnsupportedError
from headroom.measure.roles import convolution_roles, operands_of


def describe(draft: Draft, layers: Sequence[Layer], form: str) -> tuple[Any, Frame, int]:
    """The convolution with its bias, constants folded in and, in form ``pattern``, residuals; how many layers that is.

    Raises:
        UnsupportedError: an operand is no data, filter or bias.
    """
    layer = layers[0]
    work = layer.work
    assert isinstance(work, Convolution)
    head = _Head(draft, layer, work)
    affine = fold.affine_run(layers[1:], head.frame, head.channel) if head.is_constant else None
    used = 1 + (len(affine.layers) if affine else 0)
    value = head.convolve(affine)
    if form == "pattern":
        residuals = _residuals(layers, used, head.frame)
        for spec in residuals:
            value = draft.graph.add(value, draft.operand(spec, head.frame.operand(spec.shape)))
        used += len(residuals)
    return head.biased(value, affine, form, alone=len(layers) == 1), head.frame, used


def has_forms(layers: Sequence[Layer]) -> bool:
    """Whether the two forms differ: they do unless nothing follows the convolution."""
    return len(layers) > 1 or len(operands_of(layers[0])) > 2


def _residuals(layers: Sequence[Layer], start: int, frame: Frame) -> list[TensorSpec]:
    """What the additions at ``layers[start]`` and behind add, as long as it is as large as the result."""
    found = []
    for previous, layer in zip(layers[start - 1 :], layers[start:], strict=False):
        if not isinstance(layer.work, Elementwise) or layer.work.function not in ("add", "sum"):
            break
        others = [spec for spec in operands_of(layer) if spec.name != previous.outputs[0].name]
        if len(others) != 1 or others[0].shape != frame.shape:
            break
        found.append(others[0])
    return found


class _Head:
    """The convolution of one layer, in a draft."""

    def __init__(self, draft: Draft, layer: Layer, work: Convolution) -> None:
        self._draft, self._work = draft, work
        self._roles = convolution_roles(layer)
        self._space = len(work.kernel)
        specs = {spec.name: spec for spec in operands_of(layer)}
        self._data, self._second = specs[self._roles.data], specs[self._roles.filter]
        self._bias = specs[self._roles.bias] if self._roles.bias else None
        self.frame = image(layer.outputs[0].shape, self._space, draft.layout)
        self.channel: Shape = (1, work.out_channels, *[1] * (len(self.frame.groups) - 2))
        constants = {spec.name for spec in layer.weights}
        self.is_constant = (
            work.direction != "wgrad"
            and self._second.name in constants
            and (self._bias is None or self._bias.name in constants)
        )

    def convolve(self, affine: fold.Affine | None) -> Any:
        """The convolution, its filter scaled by ``affine``."""
        graph, work = self._draft.graph, self._work
        data = self._draft.operand(self._data, image(self._data.shape, self._space, "").dims)
        second = self._filter(affine)
        flat = self._space == 1
        geometry = {
            "pre_padding": [0] * flat + [begin for begin, _ in work.padding],
            "post_padding": [0] * flat + [end for _, end in work.padding],
            "stride": [1] * flat + list(work.stride),
            "dilation": [1] * flat + list(work.dilation),
        }
        if work.direction == "forward":
            value = graph.conv_fprop(image=data, weight=second, **geometry)
        elif work.direction == "dgrad":
            value = graph.conv_dgrad(loss=data, filter=second, **geometry)
        elif work.direction == "wgrad":
            value = graph.conv_wgrad(image=data, loss=second, **geometry)
        else:
            raise UnsupportedError(f"a convolution has no direction {work.direction!r}")
        # A stride hides how large the input of a gradient was: the library has to be told.
        return value.set_dim(list(self.frame.dims)).set_stride(list(self.frame.strides))

    def _filter(self, affine: fold.Affine | None) -> Any:
        dims = image(self._second.shape, self._space, "").dims
        if affine is None:
            return self._draft.operand(self._second, dims)
        name, layout, work = self._second.name, self._draft.layout, self._work

        def scaled(operands: Operands) -> Any:
            scale, _ = affine.scale_and_shift(operands)
            return fold.scaled_filter(operands.tensor(name, layout), scale, work.direction, work.groups)

        return self._draft.feed(dims, scaled)

    def biased(self, value: Any, affine: fold.Affine | None, form: str, *, alone: bool) -> Any:
        """``value`` plus the bias that the layer, the fold or the form asks for."""
        if affine is None and self._bias is None and (alone or form != "pattern"):
            return value
        own, like = self._bias, self._second.name
        exact = form == "written"

        def bias(operands: Operands) -> Any:
            given = None if own is None else operands.tensor(own.name)
            if affine is not None:
                given = fold.shifted_bias(given, *affine.scale_and_shift(operands))
            filters = operands.tensor(like)
            if given is None:
                given = filters.new_zeros(self._work.out_channels)
            return given.float() if exact else given.to(filters.dtype)

        return self._draft.graph.add(value, self._draft.feed(self.channel, bias, exact=exact))
