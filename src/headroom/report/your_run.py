"""The user's own run beside the best: what each configuration took in the profile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from headroom.advise.analysis import Analysis
from headroom.advise.execution import Execution


@dataclass(frozen=True, slots=True)
class RunTime:
    """What a configuration took in the user's run.

    ``total_us`` covers all occurrences; it is ``None`` where they ran inside the kernels of the layer that ``inside``
    names. ``beside`` names the layers that ran inside this one's kernels, so that the time is theirs as well.
    ``best_us`` is the best time of all of them together.
    """

    total_us: float | None
    best_us: float = 0.0
    inside: str = ""
    beside: tuple[str, ...] = ()


def gpu_run(analysis: Analysis) -> Execution | None:
    """The user's run, if anything in it ran on a GPU: one on the host alone stands beside no bound of a GPU."""
    execution = analysis.execution
    return execution if execution is not None and execution.step.launches else None


def host_times(analysis: Analysis) -> Mapping[str, float]:
    """Microseconds by layer of a run on the host alone; empty for any other."""
    execution = analysis.execution
    if execution is None or execution.step.launches:
        return {}
    name_of = {i: name for answer in analysis.answers for i, name in zip(answer.indices, answer.names, strict=True)}
    found: dict[str, float] = defaultdict(float)
    for run in execution.runs:
        if names := [name_of[layer] for layer in run.layers if layer in name_of]:
            found[names[0]] += run.time_us
    return found


def run_times(analysis: Analysis) -> Mapping[int, RunTime]:
    """By index into ``Analysis.answers``; what no launch of the run was matched to is left out.

    Kernels that did several layers count for the one among them that takes longest at its best.
    """
    execution = gpu_run(analysis)
    if execution is None:
        return {}
    name_of = {i: name for answer in analysis.answers for i, name in zip(answer.indices, answer.names, strict=True)}
    answer_of = {i: position for position, answer in enumerate(analysis.answers) for i in answer.indices}
    best_us = [answer.prediction.time_us or 0.0 for answer in analysis.answers]
    total_us: dict[int, float] = defaultdict(float)
    together_us: dict[int, float] = defaultdict(float)
    inside: dict[int, str] = {}
    beside: dict[int, list[str]] = defaultdict(list)
    for run in execution.runs:
        layers = [layer for layer in run.layers if layer in answer_of]
        if not layers:
            continue
        leader = max(layers, key=lambda layer: best_us[answer_of[layer]])
        total_us[answer_of[leader]] += run.time_us
        together_us[answer_of[leader]] += sum(best_us[answer_of[layer]] for layer in layers)
        for layer in layers:
            if layer != leader:
                inside.setdefault(answer_of[layer], name_of[leader])
                beside[answer_of[leader]].append(name_of[layer])
    return {
        position: RunTime(
            total_us.get(position),
            together_us.get(position, 0.0),
            "" if position in total_us else inside[position],
            tuple(dict.fromkeys(beside.get(position, ()))),
        )
        for position in sorted({*total_us, *inside})
    }
