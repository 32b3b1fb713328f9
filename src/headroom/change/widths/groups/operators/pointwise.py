"""Operators that work element by element: channels that meet are one, and stored tensors join them."""

from __future__ import annotations

import torch
from torch import Tensor

from headroom.change.widths.groups.labels import compact, either, together
from headroom.change.widths.groups.operator_call import Call
from headroom.change.widths.groups.operators.registry import follows
from headroom.change.widths.groups.stored import Axis
from headroom.change.widths.groups.trace import ChannelTrace


@follows(
    *("pointwise", "where", "masked_fill", "_prelu_kernel", "prelu", "native_dropout", "hardswish", "hardsigmoid"),
    *("hardtanh", "relu6", "mish", "softplus", "rrelu_with_noise", "log_sigmoid_forward", "threshold", "hardshrink"),
)
def pointwise(trace: ChannelTrace, call: Call) -> None:
    """Broadcast, tie what meets, hand on the first operand's channel."""
    result = call.results[0]
    stored = [each for each in map(trace.elements, call.operands) if each is not None and each.ndim]
    computed = [trace.labels(each) for each in call.operands if trace.elements(each) is None]
    labels = [each for each in computed if each is not None]
    if not labels:
        _of_stored(trace, call, stored)
        return
    joined = labels[0].broadcast_to(result.shape)
    for other in labels[1:]:
        other = other.broadcast_to(result.shape)
        trace.tie(joined, other)
        joined = either(joined, other)
    for elements in stored:
        tie_stored(trace, elements.broadcast_to(result.shape), joined)
    trace.label(result, joined)
    trace.step(joined)


def _of_stored(trace: ChannelTrace, call: Call, stored: list[Tensor]) -> None:
    """What is computed from stored tensors and from what has no channel."""
    result = call.results[0]
    if len(stored) == 1 and stored[0].shape == result.shape and len(call.operands) == 1:
        trace.label_elements(result, stored[0])
        return
    known = [trace.labels(each) for each in call.operands if each.ndim]
    labels = [each.broadcast_to(result.shape) for each in known if each is not None]
    for other in labels[1:]:
        trace.tie(labels[0], other)
    if labels:
        trace.label(result, labels[0])


def tie_stored(trace: ChannelTrace, elements: Tensor, labels: Tensor) -> None:
    """Tie a stored tensor's axes to the channels they lie along.

    Along such an axis each channel meets one position, or, where a channel is a whole group of a convolution, each
    position one channel. Along any other (the tokens of a position table) every channel meets every position. One
    number that several channels meet (the slope of a PReLU, the scale of a branch) is nobody's.
    """
    name = trace.atoms.holder(elements)
    if name is None:
        return
    channels = trace.channels(labels)
    for axis, size in enumerate(trace.atoms.shapes[name]):
        if size > 1 or len(trace.atoms.shapes[name]) == 1:
            atoms = trace.atoms.along(elements, Axis(name, axis))
            if _one_each(channels, atoms):
                trace.tie(labels, atoms)


def _one_each(channels: Tensor, atoms: Tensor) -> bool:
    channels, atoms = compact(channels, atoms)
    channels, atoms = channels.reshape(-1), atoms.reshape(-1)
    owned = channels >= 0
    met = together(channels[owned], atoms[owned])
    owners, positions = torch.unique(met[0]).numel(), torch.unique(met[1]).numel()
    one_number = positions == 1 and owners > 1
    return not one_number and met.shape[1] > 0 and met.shape[1] in (owners, positions)
