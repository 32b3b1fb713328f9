"""ONNX Runtime's own profile: the JSON list that a session with ``enable_profiling`` writes when it ends."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from headroom.errors import ProfileError
from headroom.measure.profiles.events import Event, complete_events
from headroom.measure.profiles.nesting import nest
from headroom.measure.profiles.operands import whole_numbers
from headroom.measure.profiles.profile import Call, Launch, LaunchKind, Operand, Profile, Step
from headroom.measure.profiles.windows import Window, Windows

#: One inference, and the whole of one node's work on the host. Older versions also time fences, which hold nothing.
_RUN = "model_run"
_NODE_END = "_kernel_time"

#: ONNX Runtime's names of element types, where they are not those of ``TensorSpec``.
_ELEMENTS = {"float": "float32", "double": "float64"}

#: On a host with blocked convolutions, ONNX Runtime runs norms and factors by them too, one channel per group; what
#: such a convolution stands for is left in its node's name.
_BLOCKED = re.compile(r"_(bn|mul)_nchwc(?:_token_\d{1,9})?$")
_STANDS_FOR = {"bn": "BatchNormalization", "mul": "Mul"}

_MOST_OPERANDS = 256


def is_onnxruntime(value: object) -> bool:
    """Whether parsed JSON is a profile of ONNX Runtime."""
    return isinstance(value, list) and any(
        isinstance(each, dict) and each.get("cat") in ("Session", "Node") for each in value[:1000]
    )


def read_onnxruntime(path: Path, value: object) -> Profile:
    """The profile in a parsed list: a step per run of the session, a call per node, ``module`` being the node's name.

    Kernels are there only where ONNX Runtime was built to record them; each belongs to the node that stands before it
    in the file, if that runs the same operator.

    Raises:
        ProfileError: no node ran.
    """
    events, damaged = complete_events(value if isinstance(value, list) else [])
    nodes = [index for index, event in enumerate(events) if event.category == "Node" and event.name.endswith(_NODE_END)]
    if not nodes:
        raise ProfileError(f"{path} holds no node that ran; run the session at least once before it ends its profile")
    runs = [Window(_RUN, event.start_us, event.end_us) for event in events if event.name == _RUN]
    windows = Windows(runs or [_around([events[index] for index in nodes])])
    steps = tuple(step for step in _steps(events, nodes, windows) if step.calls)
    if not steps:
        raise ProfileError(
            f"{path} marks runs of the session in which no node ran; its times are damaged, record it again"
        )
    notes = [] if runs else ["no run of the session is marked, so that all of it counts as one step"]
    if damaged:
        notes.append(f"{damaged} events are not as ONNX Runtime writes them and were left out")
    return Profile("onnxruntime", path.name, "", steps, tuple(notes))


def _around(events: Sequence[Event]) -> Window:
    return Window("run", min(event.start_us for event in events), max(event.end_us for event in events))


def _steps(events: Sequence[Event], nodes: Sequence[int], windows: Windows) -> list[Step]:
    held: dict[int | None, list[int]] = defaultdict(list)
    for index in nodes:
        held[windows.holding(events[index].start_us)].append(index)
    around = nest(events, set(nodes), {}, ()).operator
    kernels = _kernels_of(events)
    threads: dict[tuple[str, str], int] = {}
    steps = []
    for number, window in enumerate(windows.all):
        place: dict[int | None, int] = {index: call for call, index in enumerate(held[number])}
        calls = [
            _call(events[index], threads.setdefault(events[index].lane, len(threads)), place.get(around.get(index)))
            for index in held[number]
        ]
        launches = [_launch(kernel, place[index]) for index in held[number] for kernel in kernels.get(index, ())]
        launches.sort(key=lambda launch: launch.start_us)
        length_us = window.end_us - window.start_us
        steps.append(Step(window.name, window.start_us, length_us, tuple(calls), tuple(launches)))
    return steps


def _call(event: Event, thread: int, parent: int | None) -> Call:
    node = event.name.removesuffix(_NODE_END)
    blocked = _BLOCKED.search(node)
    operands = _operands(event.arguments.get("input_type_shape"))
    return Call(
        _operator(event) if blocked is None else _STANDS_FOR[blocked[1]],
        event.start_us,
        event.duration_us,
        thread,
        parent,
        operands if blocked is None else operands[:1],
        node,
    )


def _operands(described: object) -> tuple[Operand, ...]:
    """A node's inputs: a list of ``{element type: dimensions}``, as the writer has them."""
    found = []
    for each in described[:_MOST_OPERANDS] if isinstance(described, list) else ():
        for element, dims in each.items() if isinstance(each, dict) else ():
            found.append(Operand(whole_numbers(dims), _ELEMENTS.get(str(element), str(element))))
    return tuple(found[:_MOST_OPERANDS])


def _kernels_of(events: Sequence[Event]) -> Mapping[int, Sequence[Event]]:
    """The kernels that follow each node in the file."""
    found: dict[int, list[Event]] = defaultdict(list)
    node: int | None = None
    for index in sorted(range(len(events)), key=lambda number: events[number].place):
        event = events[index]
        if event.category == "Node" and event.name.endswith(_NODE_END):
            node = index
        elif event.category == "Kernel" and node is not None and _operator(event) == _operator(events[node]):
            found[node].append(event)
    return found


def _operator(event: Event) -> str:
    name = event.arguments.get("op_name")
    return name if isinstance(name, str) else ""


def _launch(event: Event, call: int) -> Launch:
    return Launch(
        event.name,
        LaunchKind.KERNEL,
        event.start_us,
        event.duration_us,
        event.whole("stream") or 0,
        call=call,
        grid=_triple(event, "grid"),
        block=_triple(event, "block"),
    )


def _triple(event: Event, name: str) -> tuple[int, int, int] | None:
    x, y, z = (event.whole(f"{name}_{axis}") for axis in "xyz")
    return None if x is None or y is None or z is None else (x, y, z)
