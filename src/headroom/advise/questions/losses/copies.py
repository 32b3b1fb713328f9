"""Tensors are copied though no layer asks for it: ``contiguous``, ``clone``, transfers between host and GPU."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.findings.common import counted
from headroom.advise.recorded import Recorded
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
    "model = model.to(memory_format=torch.channels_last)\nx = x.to(memory_format=torch.channels_last)",
    "A permute between layers that want different orders costs one copy in any case.",
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
    for launch in run.extras("copy"):
        grouped[_cause(run, launch)].append(launch)
    for (what, action, code, limits), launches in grouped.items():
        saved = run.timelines.saves(run.without(launches))
        if not saved[0]:
            continue
        yield run.finding(
            kind="copies",
            title=f"{counted(len(launches), 'launch', 'launches')} for {what}",
            action=f"{action} These take {figures.time(run.time_us(launches))} of the GPU's time.",
            layers=run.layers(launches),
            saved=saved,
            code=code,
            limits=limits,
        )


def _cause(run: Recorded, launch: int) -> tuple[str, str, str, str]:
    item = run.step.launches[launch]
    if item.kind is LaunchKind.COPY and ("HtoD" in item.name or "DtoH" in item.name):
        return _TRANSFER
    chain = run.chain(launch)
    outermost = run.step.calls[chain[0]].name.rpartition(":")[2] if chain else ""
    return _ASKED if outermost in {"contiguous", "clone", "copy_", "reshape", "to", "_to_copy", ""} else _INSIDE
