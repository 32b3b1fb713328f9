"""Normalisations: BatchNorm treats each channel alone, LayerNorm, GroupNorm and softmax mix all they span."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from headroom.change.widths.groups.labels import spread, varies
from headroom.change.widths.groups.operator_call import Call
from headroom.change.widths.groups.operators.pointwise import tie_stored
from headroom.change.widths.groups.operators.registry import follows
from headroom.change.widths.groups.stored import Axis
from headroom.change.widths.groups.trace import ChannelTrace


@follows(
    *("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"),
    *("_native_batch_norm_legit_functional", "_batch_norm_with_update", "batch_norm"),
)
def batch_norm(trace: ChannelTrace, call: Call) -> None:
    """Every channel with statistics of its own."""
    source = call.args[0]
    labels = trace.labels(source)
    if labels is None:
        return
    for operand in call.operands[1:]:
        _tie_per_channel(trace, operand, labels)
    trace.label(call.results[0], labels)
    trace.step(labels)


def _tie_per_channel(trace: ChannelTrace, operand: Tensor, labels: Tensor) -> None:
    """Tie a stored tensor of one value per channel, channels lying along the second axis."""
    elements = trace.elements(operand)
    name = None if elements is None else trace.atoms.holder(elements)
    if elements is not None and name is not None and elements.ndim == 1:
        trace.tie(labels, spread(trace.atoms.along(elements, Axis(name, 0)), 1, labels.shape))


@follows("native_layer_norm", "layer_norm", "_fused_rms_norm", "rms_norm")
def layer_norm(trace: ChannelTrace, call: Call) -> None:
    """Statistics over the last axes, so that a channel more or less changes every other one."""
    source = call.args[0]
    labels = trace.labels(source)
    if labels is None:
        return
    axes = tuple(range(source.ndim - len(call.argument("normalized_shape")), source.ndim))
    for operand in call.operands[1:]:
        if (elements := trace.elements(operand)) is not None:
            tie_stored(trace, elements.expand(labels.shape), labels)
    if varies(trace.channels(labels), axes):
        trace.freeze(labels, "LayerNorm over its channels: one more or less changes the mean and variance of all")
    trace.label(call.results[0], labels)
    trace.step(labels)


@follows("native_group_norm", "group_norm")
def group_norm(trace: ChannelTrace, call: Call) -> None:
    """Statistics over the channels of a group and all places."""
    source = call.args[0]
    labels = trace.labels(source)
    if labels is None:
        return
    for operand in call.operands[1:]:
        _tie_per_channel(trace, operand, labels)
    if int(call.argument("group")) < source.shape[1]:
        trace.freeze(labels, "GroupNorm over its channels: one more or less changes the mean and variance of its group")
    else:
        trace.freeze(labels, "GroupNorm with one group for each channel: its number of groups is fixed")
    trace.label(call.results[0], labels)
    trace.step(labels)


@follows("_softmax", "_safe_softmax", "_log_softmax", "softmax", "log_softmax", "cumsum", "cumprod")
def along_one_axis(trace: ChannelTrace, call: Call) -> None:
    """Everything along one axis depends on everything else along it."""
    source = call.args[0]
    labels = trace.labels(source)
    if labels is not None:
        _freeze_mixed(trace, labels, call.argument("dim"), call.name.strip("_"))
        trace.label(call.results[0], labels)
        trace.step(labels)


def _freeze_mixed(trace: ChannelTrace, labels: Tensor, axis: Any, name: str) -> None:
    if varies(trace.channels(labels), (int(axis) % labels.ndim,)):
        trace.freeze(labels, f"{name} over its channels: each depends on all others")
