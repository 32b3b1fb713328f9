"""Operators that only move data: applied to the labels, they say where each channel went."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from headroom.change.widths.groups.labels import NONE
from headroom.change.widths.groups.operator_call import Call
from headroom.change.widths.groups.operators.registry import follows
from headroom.change.widths.groups.trace import ChannelTrace

#: Operators whose arguments may count channels.
_CUTTING = frozenset({"view", "_unsafe_view", "reshape", "slice", "split", "split_with_sizes", "channel_shuffle"})


@follows("clone", "contiguous", "alias", "detach", "lift_fresh", "_to_copy", "dropout")
def same(trace: ChannelTrace, call: Call) -> None:
    """The same elements, elsewhere."""
    source, result = call.operands[0], call.results[0]
    elements = trace.elements(source)
    if elements is not None:
        trace.label_elements(result, elements)
    else:
        trace.label(result, trace.labels(source))


@follows(
    *("view", "_unsafe_view", "reshape", "permute", "t", "transpose", "expand", "squeeze", "unsqueeze"),
    *("slice", "select", "split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "unbind"),
    *("repeat", "roll", "flip", "unfold"),
    *("index_select", "index", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle"),
)
def moved(trace: ChannelTrace, call: Call) -> None:
    """One tensor in, its elements out in other places."""
    source = call.args[0]
    elements = trace.elements(source)
    if elements is not None:
        for result, each in zip(call.results, _applied(call, elements), strict=True):
            trace.label_elements(result, each)
        return
    labels = trace.labels(source)
    if labels is None:
        labels = trace.unowned(source)
        if labels is None:
            return
    if call.name in _CUTTING:
        trace.cut(labels)
    for result, each in zip(call.results, _applied(call, labels), strict=True):
        trace.label(result, each)


def _applied(call: Call, labels: Tensor) -> list[Tensor]:
    if call.name in ("view", "_unsafe_view"):
        # Labels that repeat have strides that a view of the values does not, so that theirs may be none.
        return [labels.reshape(call.results[0].shape)]
    found: Any = call.function(labels, *call.args[1:], **call.kwargs)
    return [found] if isinstance(found, Tensor) else list(found)


@follows("cat", "stack", "concat")
def joined(trace: ChannelTrace, call: Call) -> None:
    """Several tensors one after the other; what has no channel keeps none."""
    sources = list(call.argument("tensors"))
    labels = [trace.labels(source) for source in sources]
    if any(each is not None for each in labels):
        known = [
            torch.full(source.shape, NONE) if each is None else each
            for source, each in zip(sources, labels, strict=True)
        ]
        trace.label(call.results[0], call.function(known, call.argument("dim")))


@follows("constant_pad_nd")
def padded(trace: ChannelTrace, call: Call) -> None:
    """A padding belongs to no channel; a negative one cuts channels off."""
    labels = trace.labels(call.args[0])
    if labels is not None:
        trace.label(call.results[0], call.function(labels, call.argument("pad"), NONE))


@follows("copy")
def written(trace: ChannelTrace, call: Call) -> None:
    """One tensor written over another, or over a view of it."""
    labels = trace.labels(call.argument("src"))
    if labels is not None:
        trace.label(call.results[0], labels)


@follows(
    *("zeros", "ones", "empty", "full", "arange", "new_zeros", "new_ones", "new_empty", "new_full", "scalar_tensor"),
    *("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "bernoulli", "empty_strided"),
    *("linspace", "eye", "rand", "randn", "tril", "triu", "_local_scalar_dense"),
)
def made(trace: ChannelTrace, call: Call) -> None:
    """A tensor made in the run. Its elements have no channel of their own."""
    for result in call.results:
        trace.label_fresh(result)
