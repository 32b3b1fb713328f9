"""The host does something else for long between two launches, in every step, while the GPU has nothing to do."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.held_up import pauses_us
from headroom.advise.recorded import Recorded
from headroom.advise.timelines import Change

#: A pause this many times the step's usual one is no operator's doing.
_TIMES_USUAL = 10.0

#: Below this, in us, a pause is within what a busy host does now and then.
_LEAST_US = 200.0


def stalls(run: Recorded) -> Iterator[Finding]:
    """Pauses that every recorded step has at the same launch: Python code, locks, files, and no hiccup of the host."""
    if run.is_graph:
        return
    pauses = pauses_us(run.step)
    others = [step for step in run.execution.profile.steps if step is not run.step]
    alike = [pauses_us(step) for step in others if len(step.launches) == len(run.step.launches)]
    if not pauses or not alike:
        return
    usual_us = statistics.median(pauses)
    for index, pause_us in enumerate(pauses):
        always_us = min(pause_us, *(each[index] for each in alike))
        if always_us < max(_LEAST_US, _TIMES_USUAL * usual_us):
            continue
        asked_us = (run.step.launches[index].launched_us or 0.0) - run.step.start_us
        saved = run.timelines.saves(Change(host=((asked_us - always_us + usual_us, asked_us),)))
        layers = run.layers([index])
        if saved[0] and layers:
            yield run.finding(
                kind="host_stall",
                title=f"The host pauses for {figures.time(always_us, 10.0)} before {_name(run, layers)}",
                action=(
                    "Find the Python code that runs there (data preparation, printing, a lock, a file) with "
                    "py-spy or with torch.profiler's with_stack=True, and move it out of the model."
                ),
                layers=layers,
                saved=saved,
                code="with torch.profiler.profile(with_stack=True) as profile: model(x)",
                limits="The profile tells when the host was busy, not with what.",
            )


def _name(run: Recorded, layers: tuple[int, ...]) -> str:
    return run.case.timed.graph.layers[layers[0]].name
