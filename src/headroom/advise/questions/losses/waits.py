"""The host waits for the GPU in the middle of a step, so that both run out of work by turns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from headroom.advise.analysis import Finding
from headroom.advise.findings.common import counted
from headroom.advise.recorded import Recorded
from headroom.advise.timelines import Change

#: Operators that hand a value of the GPU to the host.
_READS_BACK = frozenset({"aten::item", "aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal"})

#: What makes the host wait, by the operator that it called (the first that fits): the cause, what to do, and the code.
_REMEDIES = (
    (
        _READS_BACK,
        "A value is read back (.item(), float(tensor), if tensor:)",
        "decide on the GPU, or read values after the last layer",
        "y = torch.where(condition, a, b)  # instead of: y = a if condition.item() else b",
    ),
    (
        {"aten::nonzero", "aten::masked_select", "aten::_unique2", "aten::index", "aten::repeat_interleave"},
        "The size of a result depends on data (nonzero, indexing by a mask)",
        "keep its size fixed",
        "y = torch.where(mask, x, 0)  # instead of: y = x[mask]",
    ),
    (
        {"aten::to", "aten::_to_copy", "aten::copy_", "aten::cpu"},
        "A copy between host and GPU blocks",
        "copy from pinned memory without blocking, or make the tensor on the GPU",
        "x = x.pin_memory().to('cuda', non_blocking=True)",
    ),
)
_OTHERWISE = (
    "The stream or the whole device is synchronised",
    "remove torch.cuda.synchronize() and stream.synchronize() from the model",
    "",
)


def waits(run: Recorded) -> Iterator[Finding]:
    """One finding per cause: every wait that another launch follows, and what the step takes without them."""
    asked_us = max((launch.launched_us or 0.0 for launch in run.step.launches), default=0.0)
    grouped: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for index, wait in enumerate(run.step.waits):
        # One after the last launch is how the user gets the result.
        if wait.start_us < asked_us:
            grouped[_cause(run, index)].append(index)
    for (cause, remedy, code), found in grouped.items():
        saved = run.timelines.saves(_without(run, found))
        if not saved[0]:
            continue
        yield run.finding(
            kind="host_waits",
            title=f"The host waits for the GPU {counted(len(found), 'time')} inside the model",
            action=f"{cause}: {remedy}. The host cannot ask for the next layers meanwhile, so that the GPU idles next.",
            layers=sorted({layer for index in found for layer in _next_layers(run, index)}),
            saved=saved,
            code=code,
            limits="A decision that the host has to take needs the wait; only moving the decision to the GPU ends it.",
        )


def _without(run: Recorded, found: list[int]) -> Change:
    """The step without these waits, and without reading the values back at all where that is what they are for."""
    change = Change(waits=frozenset(found))
    for wait in found:
        outermost = _outermost(run, wait)
        if outermost is None or run.step.calls[outermost].name not in _READS_BACK:
            continue
        call = run.step.calls[outermost]
        begin_us = call.start_us - run.step.start_us
        change |= run.without(run.launched_by.get(outermost, ()))
        change |= Change(host=((begin_us, begin_us + call.duration_us),))
    return change


def _outermost(run: Recorded, wait: int) -> int | None:
    call, outer = run.step.waits[wait].call, None
    while call is not None:
        call, outer = run.step.calls[call].parent, call
    return outer


def _cause(run: Recorded, wait: int) -> tuple[str, str, str]:
    call = run.step.waits[wait].call
    while call is not None:
        for names, *told in _REMEDIES:
            if run.step.calls[call].name in names:
                cause, remedy, code = told
                return cause, remedy, code
        call = run.step.calls[call].parent
    return _OTHERWISE


def _next_layers(run: Recorded, wait: int) -> tuple[int, ...]:
    """The layers that the host asks for next."""
    since_us = run.step.waits[wait].start_us
    later = (i for i, launch in enumerate(run.step.launches) if (launch.launched_us or 0.0) > since_us)
    return next((run.layers_of[i] for i in later if run.layers_of.get(i)), ())
