"""The finding that something which ran, or that the model asks for, could go: launches of a run, or whole layers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from headroom.advise.analysis import Finding
from headroom.advise.case import Case
from headroom.advise.findings.common import make_finding
from headroom.advise.recorded import Recorded


def spared_launches(
    run: Recorded, kind: str, title: str, action: str, launches: Collection[int], *, code: str = "", limits: str = ""
) -> Iterator[Finding]:
    """What the run saves without ``launches`` (indices), about the layers that they are for; nothing where that is 0.

    The saving is the replayed step's: of launches that the host has time for anyway there is none.
    """
    saved = run.timelines.saves(run.without(launches)) if launches else (0.0, 0.0)
    if saved[0]:
        yield run.finding(kind, title, action, run.layers(launches), saved, code=code, limits=limits)


def spared_layers(
    case: Case, kind: str, title: str, action: str, layers: Sequence[int], *, code: str = "", limits: str = ""
) -> Finding:
    """What goes with ``layers`` (indices) of the model: off the user's run where there is one, else off the bound."""
    timed, run = case.timed, Recorded.of(case)
    if run is None:
        saves_us = sum(timed.times_us[layer] for layer in layers)
        return make_finding(timed, kind, title, action, layers, saves_us, code=code, limits=limits)
    launches = {launch for each in run.execution.runs if set(each.layers) <= set(layers) for launch in each.launches}
    return run.finding(
        kind, title, action, layers, run.timelines.saves(run.without(launches)), code=code, limits=limits
    )
