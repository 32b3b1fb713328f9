"""Convolutions: dense ones choose their output width, grouped ones hand their input's on."""

from __future__ import annotations

import torch
from torch import Tensor

from headroom.change.widths.groups.labels import spread
from headroom.change.widths.groups.operator_call import Call
from headroom.change.widths.groups.operators.registry import follows
from headroom.change.widths.groups.stored import Axis
from headroom.change.widths.groups.trace import ChannelTrace


@follows("convolution", "_convolution", "mkldnn_convolution", "cudnn_convolution")
def convolution(trace: ChannelTrace, call: Call) -> None:
    """Tie input channels to the weight's in-axis, and label the output with its out-axis."""
    source, weight, result = call.args[0], call.args[1], call.results[0]
    elements = trace.elements(weight)
    name = None if elements is None else trace.atoms.holder(elements)
    labels = trace.labels(source)
    if elements is None or name is None or elements.shape != torch.Size(trace.atoms.shapes[name]):
        for each in (labels, trace.labels(weight)):
            if each is not None:
                trace.freeze(each, "meets a convolution whose weights are computed during the run")
        return
    transposed, groups = bool(call.argument("transposed")), int(call.argument("groups"))
    out_axis, in_axis = Axis(name, int(transposed)), Axis(name, 1 - int(transposed))
    if labels is not None:
        trace.step(labels)
    if groups == 1:
        out = torch.tensor(trace.atoms.of(out_axis))
        trace.generators[out_axis] = None
        trace.summed[in_axis] = None
        if labels is not None:
            trace.tie(labels, spread(torch.tensor(trace.atoms.of(in_axis)), 1, labels.shape))
    else:
        out = _grouped(trace, name, transposed, groups, source.shape[1], labels, source.shape)
    bias = call.argument("bias")
    stored_bias = None if bias is None else trace.elements(bias)
    if stored_bias is not None and (held := trace.atoms.holder(stored_bias)) is not None:
        trace.tie(out, trace.atoms.along(stored_bias, Axis(held, 0)))
    trace.label(result, spread(out, 1, result.shape))


def _grouped(
    trace: ChannelTrace,
    name: str,
    transposed: bool,
    groups: int,
    channels: int,
    labels: Tensor | None,
    shape: torch.Size,
) -> Tensor:
    """The output's labels of a grouped convolution; a depthwise one has as many groups as channels.

    Whole groups come and go: a group's input channels and its output channels are one. Where ``trace.even`` names the
    weight, every group keeps its place and its i-th channels are one over all groups.
    """
    out_axis, in_axis = Axis(name, int(transposed)), Axis(name, 1 - int(transposed))
    incoming = torch.arange(channels)
    width = channels // groups
    if groups < channels:
        trace.grouped[name] = None
    if transposed:
        # The weight of a transposed convolution has its groups along the in-axis, and per group the outputs.
        per_group = trace.atoms.shapes[name][1]
        all_out = groups * per_group
        stacked, narrow, stacked_is_out = in_axis, out_axis, False
    else:
        all_out = trace.atoms.shapes[name][0]
        per_group = all_out // groups
        stacked, narrow, stacked_is_out = out_axis, in_axis, True
    outgoing = torch.arange(all_out)
    of_stacked = torch.tensor(trace.atoms.of(stacked))
    of_narrow = torch.tensor(trace.atoms.of(narrow))
    if name in trace.even:
        trace.summed[in_axis] = None
        trace.generators[out_axis] = None
        size = of_stacked.numel() // groups
        trace.tie(of_stacked, of_stacked[torch.arange(of_stacked.numel()) % size])
        entering = of_narrow[incoming % width] if stacked_is_out else of_stacked[incoming]
        leaving = of_stacked[outgoing] if stacked_is_out else of_narrow[outgoing % per_group]
    else:
        size = of_stacked.numel() // groups
        first = of_stacked[torch.arange(groups) * size]
        trace.tie(of_stacked, first[torch.arange(of_stacked.numel()) // size])
        entering, leaving = first[incoming // width], first[outgoing // per_group]
    if labels is not None:
        trace.tie(labels, spread(entering, 1, shape))
    return leaving
