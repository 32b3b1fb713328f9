"""Tensors are copied though no layer asks for it: ``contiguous``, ``clone``, transfers between host and GPU."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.channels_last import sets_its_layout
from headroom.advise.choices import Choices
from headroom.advise.findings.common import counted
from headroom.advise.pytorch_lines import CHANNELS_LAST
from headroom.advise.questions.losses.spared import spared_launches
from headroom.advise.recorded import Recorded
from headroom.advise.settings import Layout, layout_of
from headroom.measure.profiles.profile import LaunchKind

_TRANSFER = (
    "transfers between host and GPU",
    "Make or keep the tensor on the GPU; what has to come from the host comes from pinned memory, before it is needed.",
    "x = torch.empty(shape, pin_memory=True)\nx_gpu = x.to('cuda', non_blocking=True)",
    "The transfer itself remains where its data are new in every inference.",
)
_INSIDE = (
    "copies inside operators that want another memory order",
    "Hand the operator a tensor that lies as it wants: convert once, before the first layer that needs it, and keep "
    "that format (channels_last for convolutions).",
    CHANNELS_LAST,
    "A permute between layers that want different orders costs one copy in any case.",
)
_FLATTENED = (
    "copies that flatten makes of values in channels_last",
    "Flatten in the order that the values lie in: permute the columns of the next Linear's weight once, when the model "
    "is loaded, and flatten the permuted tensor, which copies nothing.",
    "weight = linear.weight.unflatten(1, x.shape[1:]).permute(0, 2, 3, 1).flatten(1)  # once\n"
    "y = torch.nn.functional.linear(x.permute(0, 2, 3, 1).flatten(1), weight, linear.bias)",
    "Only where the Linear alone reads the flattened tensor, and where it lies in channels_last in every run.",
)
_RETURNED = (
    "copies back into channels_last",
    "Find the code before these layers that returns values in NCHW order (reshaping channels into groups and "
    "transposing those does), and let it work on the last dimension of x.permute(0, 2, 3, 1) instead.",
    "",
    "No setting ends these: the run is in channels_last already.",
)
_ASKED = (
    "copies that the model's code asks for",
    "Remove .contiguous() and .clone() where the next layer takes strides (matmul, attention, elementwise layers do), "
    "and reshape instead of permuting back and forth.",
    "x = x.reshape(shape)  # instead of: x = x.contiguous().view(shape)",
    "reshape copies too where the strides leave no other way.",
)


def copies(run: Recorded) -> Iterator[Finding]:
    """One finding per cause."""
    grouped: dict[tuple[str, str, str, str], list[int]] = defaultdict(list)
    launches = run.extras("copy")
    is_nhwc = bool(launches) and _is_channels_last(run)
    for launch in launches:
        grouped[_cause(run, launch, is_nhwc)].append(launch)
    for (what, action, code, limits), found in grouped.items():
        yield from spared_launches(
            run,
            kind="copies",
            title=f"{counted(len(found), 'launch', 'launches')} for {what}",
            action=f"{action} These take {figures.time(run.time_us(found))} of the GPU's time.",
            launches=found,
            code=code,
            limits=limits,
        )


def _is_channels_last(run: Recorded) -> bool:
    """Whether the caller chose NHWC; a model that permutes for itself gets weights in that order only if told to."""
    return not sets_its_layout(run.case.timed.graph) and layout_of(run, Choices.of(run.case)) is Layout.NHWC


def _cause(run: Recorded, launch: int, is_nhwc: bool) -> tuple[str, str, str, str]:
    item = run.step.launches[launch]
    if item.kind is LaunchKind.COPY and ("HtoD" in item.name or "DtoH" in item.name):
        return _TRANSFER
    asked_by = run.operator(launch)
    if asked_by == "flatten" and is_nhwc:
        return _FLATTENED
    if asked_by in _ASKING:
        return _ASKED
    return _RETURNED if is_nhwc else _INSIDE


#: Operators that a model's code calls to copy; launches without a call are taken for such.
_ASKING = frozenset({"contiguous", "clone", "copy_", "flatten", "reshape", "to", "_to_copy", ""})
