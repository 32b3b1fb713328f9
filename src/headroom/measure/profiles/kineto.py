"""PyTorch's profiler: the Chrome trace that Kineto writes, as ``torch.profiler.profile`` exports it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headroom.errors import ProfileError
from headroom.measure.profiles.events import Event, complete_events, time_us
from headroom.measure.profiles.guide import GUIDE
from headroom.measure.profiles.kineto_gpu import LAUNCH_KINDS, gpu_name
from headroom.measure.profiles.kineto_steps import StepsOf, Trace
from headroom.measure.profiles.nesting import ModuleName
from headroom.measure.profiles.profile import Profile
from headroom.measure.profiles.windows import Window
from headroom.text import plain_line

#: What ``torch.profiler`` calls the stretch from one ``step()`` to the next; most versions add ``#`` and its number.
STEP = "ProfilerStep"

#: How the profiler names a module's call when it traces Python: class and number, one within the other.
#: :mod:`headroom.measure.profiles.recording` marks calls in the same words, with the module's whole path.
MODULE = "nn.Module: "

#: Where ``headroom profile`` writes, into the same file, what the profiler cannot know.
OURS = "headroom"

#: Categories in lower case; the second of a pair is what older versions write.
_OPERATORS = frozenset({"cpu_op", "operator", "user_annotation"})
_RUNTIME = frozenset({"cuda_runtime", "cuda_driver", "hip_runtime", "runtime"})
_PYTHON = "python_function"


def is_kineto(value: object) -> bool:
    """Whether parsed JSON is a Chrome trace in the form that Kineto gives it."""
    return isinstance(value, dict) and isinstance(value.get("traceEvents"), list)


def read_kineto(path: Path, value: object) -> Profile:
    """The profile in a parsed Kineto trace.

    A step holds the launches that were asked for in its stretch of host time, whenever they ran. An operator that
    the user marked (``record_function``) is a call like any other.

    Raises:
        ProfileError: it holds no operator and no kernel.
    """
    content = value if isinstance(value, dict) else {}
    raw = content.get("traceEvents")
    events, damaged = complete_events(raw if isinstance(raw, list) else [])
    trace = _sorted(events)
    steps = StepsOf(trace).steps() if trace.operators or trace.launches else []
    if not steps:
        raise ProfileError(
            f"{path} holds no operator and no kernel within a step; record the model's own calls, with the activities "
            "of the CPU and of the GPU switched on"
        )
    gpu = gpu_name(content.get("deviceProperties") or content.get("computeProperties"), steps)
    written = content.get(OURS)
    ours = written if isinstance(written, dict) else {}
    latency_us = time_us(ours.get("latency_us"))
    notes = (*_notes(trace, damaged), *_others(ours.get("others")))
    return Profile(
        "pytorch", path.name, gpu, tuple(steps), notes, latency_us if latency_us and latency_us > 0 else None
    )


def _others(who: object) -> list[str]:
    return [f"others used the GPU while this was recorded: {plain_line(who)}"] if isinstance(who, str) and who else []


def _sorted(events: Sequence[Event]) -> Trace:
    trace = Trace(events)
    for index, event in enumerate(events):
        category = event.category.lower()
        if category in LAUNCH_KINDS:
            trace.launches.add(index)
        elif category in _RUNTIME:
            trace.runtime.add(index)
        elif category == _PYTHON:
            if event.name.startswith(MODULE):
                trace.modules[index] = ModuleName(event.name.removeprefix(MODULE))
        elif category in _OPERATORS:
            _sort_operator(trace, index, event)
    return trace


def _sort_operator(trace: Trace, index: int, event: Event) -> None:
    """The profiler tells an operator from a mark by its category, but not in every version."""
    if event.name.startswith((STEP, GUIDE)):
        trace.windows.append(Window(event.name, event.start_us, event.end_us))
    elif event.name.startswith(MODULE):
        trace.modules[index] = ModuleName(event.name.removeprefix(MODULE), whole=True)
    else:
        trace.operators.add(index)


def _notes(trace: Trace, damaged: int) -> list[str]:
    notes = []
    if not trace.windows:
        notes.append("nobody marked the steps of this run, so that all of it counts as one step")
    if damaged:
        notes.append(f"{damaged} events are not as the profiler writes them and were left out")
    return notes
