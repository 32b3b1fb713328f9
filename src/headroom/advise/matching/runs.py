"""From pairs of layers and units to the runs of an execution."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from headroom.advise.execution import LayerRun, OtherRun
from headroom.advise.matching.signature import Family
from headroom.advise.matching.units import Unit, launch_kernel
from headroom.graph.graph import Graph
from headroom.measure.profiles.profile import Step

#: What a call on its own was for, by a word in the operator's name; the first that is found counts.
_PURPOSES = (
    ("pad", "pad"), ("fill", "fill"), ("zero", "fill"), ("to_copy", "cast"), ("cast", "cast"),
    ("contiguous", "transpose"), ("transpose", "transpose"), ("permute", "transpose"), ("reorder", "transpose"),
    ("copy", "copy"), ("clone", "copy"), ("memcpy", "copy"), ("reshape", "copy"), ("flatten", "copy"), ("cat", "copy"),
    ("::to", "copy"),
)  # fmt: skip


def runs_of(
    graph: Graph, step: Step, units: Sequence[Unit], layers_of: Mapping[int, Sequence[int]]
) -> tuple[tuple[LayerRun, ...], tuple[OtherRun, ...]]:
    """Every launch in one run. ``layers_of`` maps a unit to the layers that it ran.

    A layer is in one run as well: units that ran a layer together make one with all that either ran. Within a unit, a
    launch that no layer asks for (a layout transpose before a convolution) is another run near that layer.
    """
    launches: dict[tuple[int, ...], list[int]] = defaultdict(list)
    calls: dict[tuple[int, ...], list[int]] = defaultdict(list)
    others: list[OtherRun] = []
    following = _following(len(units), layers_of)
    joint = _joint(layers_of)
    for place, unit in enumerate(units):
        layers = joint.get(place, ())
        if not layers:
            others += _other(graph, step, unit, following[place])
            continue
        own, beside = _parted(step, unit)
        launches[layers] += own
        calls[layers] += () if unit.call is None else (unit.call,)
        others += (_beside(graph, step, purpose, index, layers_of[place][0]) for index, purpose in beside)
    runs = [
        LayerRun(layers, tuple(indices), tuple(calls[layers]), _time_us(step, indices, calls[layers]))
        for layers, indices in launches.items()
    ]
    return tuple(runs), tuple(others)


def _joint(layers_of: Mapping[int, Sequence[int]]) -> dict[int, tuple[int, ...]]:
    """Per unit the layers that it ran, and those of every unit that it shares a layer with."""
    together: dict[int, set[int]] = {}
    for layers in layers_of.values():
        merged = set(layers).union(*(together[layer] for layer in layers if layer in together))
        together.update(dict.fromkeys(merged, merged))
    return {unit: tuple(sorted(together[layers[0]])) for unit, layers in layers_of.items()}


def _following(count: int, layers_of: Mapping[int, Sequence[int]]) -> list[int | None]:
    """For each unit the layer of the next unit that has one, at the end of the last."""
    near: list[int | None] = [None] * count
    current = layers_of[max(layers_of)][-1] if layers_of else None
    for place in range(count - 1, -1, -1):
        if layers_of.get(place):
            current = layers_of[place][0]
        near[place] = current
    return near


def _parted(step: Step, unit: Unit) -> tuple[list[int], list[tuple[int, str]]]:
    """A unit's launches that do the layer's work, and the rest with their purposes."""
    purposes = [(index, launch_kernel(step.launches[index]).purpose) for index in unit.launches]
    own = [index for index, purpose in purposes if not purpose]
    if own:
        return own, [(index, purpose) for index, purpose in purposes if purpose]
    # The layer itself is a copy.
    return [index for index, _ in purposes], []


def _beside(graph: Graph, step: Step, purpose: str, index: int, near: int) -> OtherRun:
    launch = step.launches[index]
    calls = () if launch.call is None else (launch.call,)
    return OtherRun(purpose, (index,), calls, launch.duration_us, near, graph.layers[near].module)


def _other(graph: Graph, step: Step, unit: Unit, near: int | None) -> list[OtherRun]:
    """The launches of a unit that no layer asks for: one run, or one each where their purposes differ."""
    by_purpose: dict[str, list[int]] = defaultdict(list)
    for index in unit.launches:
        by_purpose[_purpose(step, unit, launch_kernel(step.launches[index]).purpose)].append(index)
    if not unit.launches:
        by_purpose[_purpose(step, unit, "")] = []
    module = graph.layers[near].module if near is not None else ""
    if unit.call is not None:
        module = step.calls[unit.call].module or module
    calls = () if unit.call is None else (unit.call,)
    return [
        OtherRun(purpose, tuple(indices), calls, _time_us(step, indices, calls), near, module)
        for purpose, indices in by_purpose.items()
    ]


def _purpose(step: Step, unit: Unit, purpose: str) -> str:
    if unit.call is not None and unit.signature.family in (Family.MOVEMENT, Family.OTHER):
        name = step.calls[unit.call].name.lower()
        told = next((meant for word, meant in _PURPOSES if word in name), "unknown")
        if told == "cast" and purpose == "copy":
            return "copy"  # the same type in another place or order: the kernel would say that it converts
        # A pad fills the whole tensor first; the kernel that casts says so itself.
        return told if told == "pad" or purpose in ("", "copy") else purpose
    return purpose or "unknown"


def _time_us(step: Step, launches: Sequence[int], calls: Sequence[int]) -> float:
    """Of launches, or of the calls where nothing was launched."""
    if launches:
        return sum(step.launches[index].duration_us for index in launches)
    return sum(step.calls[index].duration_us for index in calls)
