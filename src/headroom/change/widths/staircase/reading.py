"""A staircase, read: its intervals and steps, the model that the paper fits, and the widths worth having."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.change.widths.staircase.candidates import candidates, dominating
from headroom.change.widths.staircase.curve import Point, Staircase
from headroom.change.widths.staircase.steps import RESOLUTION_PCT, Interval, Step, find_intervals, find_steps
from headroom.change.widths.staircase.wave_model import WaveModel, fit_wave_model


@dataclass(frozen=True)
class Reading:
    """What a staircase shows.

    ``model`` is equation 3 as the paper has it, ``model_with_overhead`` the same with a constant added. ``candidates``
    are the widths of equation 4; ``dominating`` those that no wider one beats by more than the resolution.
    """

    staircase: Staircase
    intervals: tuple[Interval, ...]
    steps: tuple[Step, ...]
    model: WaveModel
    model_with_overhead: WaveModel
    candidates: tuple[Point, ...]
    dominating: tuple[Point, ...]


def read(staircase: Staircase) -> Reading:
    """Find everything that :class:`Reading` holds."""
    intervals = find_intervals(staircase)
    return Reading(
        staircase=staircase,
        intervals=intervals,
        steps=find_steps(intervals),
        model=fit_wave_model(staircase),
        model_with_overhead=fit_wave_model(staircase, overhead=True),
        candidates=candidates(staircase, intervals),
        dominating=dominating(staircase.points, RESOLUTION_PCT),
    )
