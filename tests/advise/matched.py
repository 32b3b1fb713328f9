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
