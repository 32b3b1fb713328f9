"""Algorithm 2 of the tail-effect paper: give up channels where that gains time, add them where it costs least.

"Towards Latency-aware DNN Optimization with GPU Runtime Analysis and Tail Effect Elimination", section 4.3. Its slips,
and what is done instead:

- Line 18: one copy of the paper reads ``tau = 2``, the other ``tau *= 2``. Doubling loosens; setting to two need not.
- Line 18 goes back to line 9, where the list of layers is empty by then. It is filled again, widths are the old ones.
- Equation 5b has the parameter gain as old minus new; see :meth:`.WidthProblem.gain`.
- Line 12 scales up the layer of least *latency* gain, the prose that of least *parameter* gain. The listing is
  followed, and the latter decides between equals.
- Line 11 does not end where the list runs empty; here it does.
- Line 10 scales every layer down. One that gets slower by it, which the paper's monotone staircases do not know, stays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from headroom.change.widths.solve.problem import ChoosableWidth, WidthProblem
from headroom.errors import UsageError


@dataclass(frozen=True)
class Outcome:
    """The widths found, their time, the tolerance that it took, and whether the target was reached."""

    widths: Mapping[str, int]
    total_us: float
    tolerance: float
    reached: bool


def algorithm_2(problem: WidthProblem, tolerance: float, target: float) -> Outcome:
    """Widths whose time is at most ``target`` times the current one, by the paper's greedy exchange.

    Args:
        problem: groups with their candidate widths (equation 4), and tables of times.
        tolerance: tau, above zero: the sum of parameter gains stays inside (-tau, tau) where it can (equation 7).
        target: delta, the wanted share of the current time.

    Raises:
        UsageError: no tolerance above zero, a target that is no number, or a table lacks a pair of widths.
    """
    if not tolerance > 0:
        raise UsageError(f"a tolerance of {tolerance} allows nothing; give one above zero")
    if math.isnan(target):
        raise UsageError("a target of nan can never be reached; give the wanted share of the current time")
    before_us = problem.total_us(problem.current)
    best: Outcome | None = None
    while True:
        widths = _exchanged(problem, tolerance)
        total_us = problem.total_us(widths)
        outcome = Outcome(widths, total_us, tolerance, total_us <= target * before_us)
        if best is None or outcome.reached or total_us < best.total_us:
            best = outcome
        if outcome.reached or tolerance > _largest_gain(problem):
            return best
        tolerance *= 2


def _exchanged(problem: WidthProblem, tolerance: float) -> dict[str, int]:
    """Lines 8 to 13, from the old widths."""
    widths = problem.current
    waiting = list(problem.groups)
    gains_us = {group.name: _latency_gain_us(problem, group) for group in waiting}
    while waiting:
        down = max(waiting, key=lambda group: gains_us[group.name])
        waiting.remove(down)
        if gains_us[down.name] > 0:
            widths[down.name] = _below(down)
        while waiting and not -tolerance < problem.gain(widths) < tolerance:
            up = min(waiting, key=lambda group: (gains_us[group.name], group.weight * (_above(group) - group.current)))
            waiting.remove(up)
            widths[up.name] = _above(up)
    return widths


def _latency_gain_us(problem: WidthProblem, group: ChoosableWidth) -> float:
    """Equation 5a: what the layers that the group is the output of gain from its next candidate below (equation 8a)."""
    narrower = {**problem.current, group.name: _below(group)}
    return sum(
        layer.time_us(problem.current) - layer.count * layer.times_us[pair]
        for layer in problem.layers
        if group.name in layer.outputs.parts
        # The paper knows one width per layer, so that the input stays as wide as it is.
        and (pair := (layer.inputs.at(problem.current), layer.outputs.at(narrower))) in layer.times_us
    )


def _below(group: ChoosableWidth) -> int:
    """Equation 8a; the current width where no candidate is below."""
    return max((width for width in group.choices if width < group.current), default=group.current)


def _above(group: ChoosableWidth) -> int:
    """Equation 8b; the current width where no candidate is above."""
    return min((width for width in group.choices if width > group.current), default=group.current)


def _largest_gain(problem: WidthProblem) -> float:
    """No exchange changes more than this, so that a larger tolerance allows nothing new."""
    return sum(
        abs(group.weight) * max(_above(group) - group.current, group.current - _below(group))
        for group in problem.groups
    )
