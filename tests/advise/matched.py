"""Recorded profiles with the graphs they belong to, and small changes to profiles, for the tests of matching."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import headroom as hr
import profiles
from bound_networks import BOUNDS
from headroom.advise.execution import Execution, LayerRun, OtherRun
from headroom.graph.graph import Graph
from headroom.measure.profiles.profile import Call, Launch, LaunchKind, Operand, Profile, Step


@cache
def network_graph(models: Path, network: str, batch: int = 1) -> Graph:
    """The graph of the shared file that holds a network."""
    return hr.load(models / BOUNDS[network], batch=batch)


@cache
def recorded(name: str) -> Profile:
    """The recorded profile of this name."""
    return profiles.recorded(name)


def graph_of(models: Path, name: str) -> Graph:
    """The graph that the profile ``NETWORK-BATCH-VARIANT`` was recorded with."""
    network, batch, _ = name.rsplit("-", 2)
    return network_graph(models, network, int(batch))


def every_run(execution: Execution) -> Iterable[LayerRun | OtherRun]:
    return (*execution.runs, *execution.others)


def kernels_of(graph: Graph, execution: Execution, layer: str) -> list[str]:
    """The names of the kernels that ran the layer of this name."""
    index = next(at for at, each in enumerate(graph.layers) if each.name == layer)
    return [launch.name for launch in execution.launches(execution.runs[execution.run_of[index]])]


def with_launches(profile: Profile, change: Callable[[Step], Iterable[Launch]]) -> Profile:
    """The profile with other launches in its typical step, which is its only one then."""
    step = profile.typical
    return replace(profile, steps=(replace(step, launches=tuple(change(step))),))


def repeated(profile: Profile, times: int) -> Profile:
    """The typical step several times over, as one step."""
    step = profile.typical
    calls: list[Call] = []
    launches: list[Launch] = []
    for number in range(times):
        later_us, first = number * 2 * step.duration_us, len(calls)
        launches += (
            replace(each, start_us=each.start_us + later_us, call=None if each.call is None else each.call + first)
            for each in step.launches
        )
        calls += (
            replace(
                each, start_us=each.start_us + later_us, parent=None if each.parent is None else each.parent + first
            )
            for each in step.calls
        )
    whole = replace(step, duration_us=2 * times * step.duration_us, calls=tuple(calls), launches=tuple(launches))
    return replace(profile, steps=(whole,))


def without_operands(profile: Profile) -> Profile:
    """The profile as it is recorded without ``record_shapes``."""
    step = profile.typical
    calls = tuple(replace(call, operands=()) for call in step.calls)
    return replace(profile, steps=(replace(step, calls=calls),))


def without_calls(profile: Profile) -> Profile:
    """The profile as if the GPU's side alone had been recorded."""
    step = profile.typical
    launches = tuple(replace(launch, call=None) for launch in step.launches)
    return replace(profile, steps=(replace(step, calls=(), launches=launches),))


def with_padding(profile: Profile, which: int, amount: int) -> Profile:
    """The profile with a padding planted before one convolution, as a careless converter leaves it."""
    step = profile.typical
    at = [index for index, call in enumerate(step.calls) if call.name == "aten::conv2d"][which]
    conv = step.calls[at]
    dims = conv.operands[0].dims
    padded = (*dims[:2], *(size + 2 * amount for size in dims[2:]))
    first = min((launch for launch in step.launches if _within(step, launch.call, at)), key=lambda each: each.start_us)
    pad = Call("aten::constant_pad_nd", conv.start_us - 2, 1.5, conv.thread, None, (Operand(dims, "float32"),))
    changed = replace(conv, operands=(replace(conv.operands[0], dims=padded), *conv.operands[1:]))
    fill = Launch("Memset (Device)", LaunchKind.FILL, first.start_us - 3, 1.0, 7, call=len(step.calls))
    copy = Launch(_COPY_KERNEL, LaunchKind.KERNEL, first.start_us - 2, 2.0, 7, call=len(step.calls))
    calls = (*step.calls[:at], changed, *step.calls[at + 1 :], pad)
    launches = sorted((*step.launches, fill, copy), key=lambda each: each.start_us)
    return replace(profile, steps=(replace(step, calls=calls, launches=tuple(launches)),))


_COPY_KERNEL = "void at::native::elementwise_kernel<128, 2, at::native::direct_copy_kernel_cuda>(int)"


def _within(step: Step, call: int | None, root: int) -> bool:
    while call is not None:
        if call == root:
            return True
        call = step.calls[call].parent
    return False
