"""Modules of calls, from one run of the same network in which every module said its name.

Saying names takes the host as long as many an operator does. So the recorder lets the modules speak in a run of its
own, ahead of the steps that count, and the steps take the names over: call by call, where both called the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headroom.measure.profiles.profile import Step

#: What the recorder calls that run.
GUIDE = "Headroom module guide"


def guided(steps: Sequence[Step]) -> list[Step]:
    """The steps that count, with the modules that a guide among ``steps`` tells."""
    guides = {_calls(step): step for step in steps if step.name == GUIDE}
    return [_told(step, guides.get(_calls(step))) for step in steps if step.name != GUIDE]


def _calls(step: Step) -> tuple[str, ...]:
    return tuple(call.name for call in step.calls)


def _told(step: Step, guide: Step | None) -> Step:
    if guide is None:
        return step
    pairs = zip(step.calls, guide.calls, strict=True)
    return replace(step, calls=tuple(replace(call, module=call.module or told.module) for call, told in pairs))
