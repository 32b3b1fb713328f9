"""The best widths there are, by mixed-integer programming over the tables of times.

Every group takes one of its widths, every layer one pair of its table; the pair must be the one that the groups make.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from headroom.change.widths.solve.problem import Count, WidthProblem
from headroom.errors import UsageError

#: How far inside an open interval a sum of fractions stays, as a share: well over what the solver takes for equal.
_INSIDE = 1e-5
#: The gap at which the search ends, as a share.
_GAP = 1e-9
#: The gap where parameters are limited too: two limits at once leave millions of choices that differ by a few weights.
_ROUGH_GAP = 1e-3
#: The longest search, in seconds; whole networks take a second or two. Of widest networks, what it has found by then is
#: taken if none has more by more than this share.
_LONGEST_S, _LEFT = 60.0, 0.05
#: What scipy says of a program without a solution, and of one that ran out of time.
_INFEASIBLE, _OUT_OF_TIME = 2, 1


def fastest(problem: WidthProblem, *, tolerance: float | None = None, only_wider: bool = False) -> dict[str, int]:
    """The widths of least total time.

    Args:
        problem: groups with their candidates, and tables of times.
        tolerance: tau of equation 7, above zero: the sum of parameter gains stays inside (-tau, tau); ``None`` for no
            such limit.
        only_wider: no group may lose a channel, which is what padding with zero channels can do.

    A group whose move gains nothing stays as it is.

    Raises:
        UsageError: no choice of widths has all its times in the tables, no tolerance above zero, or the search takes
            too long.
    """
    if tolerance is not None and not 0 < tolerance < math.inf:
        raise UsageError(f"a tolerance of {tolerance} is no limit to keep; give a number above zero, or none")
    program = _Program(problem, only_wider)
    rows = []
    if tolerance is not None:
        counts = all(float(group.weight).is_integer() for group in problem.groups)
        limit = math.ceil(tolerance) - 1 if counts else tolerance * (1 - _INSIDE)
        rows.append((program.gains, -limit, limit))
    return _without_idle_moves(problem, program.solve(program.times, rows), tolerance)


def _without_idle_moves(problem: WidthProblem, widths: dict[str, int], tolerance: float | None) -> dict[str, int]:
    """The same time with fewer groups moved, where equal times made the choice arbitrary."""
    for group in problem.groups:
        back = {**widths, group.name: group.current}
        inside = tolerance is None or abs(problem.gain(back)) < tolerance
        if inside and problem.has_times(back) and problem.total_us(back) <= problem.total_us(widths):
            widths = back
    return widths


def widest(
    problem: WidthProblem,
    *,
    at_most_us: float | None = None,
    only_wider: bool = False,
    count: Count = Count.CHANNELS,
    at_most_parameters: int | None = None,
) -> dict[str, int]:
    """The widths of most parameter gain that take no longer than the current ones, or ``at_most_us`` (equation 6).

    Args:
        problem: groups with their candidates, and tables of times.
        only_wider: no group may lose a channel, so that the network can start as the one it was made of.
        count: what is to be most.
        at_most_parameters: of all layers together, which makes the answer good to a thousandth; ``None`` for no limit.

    Raises:
        UsageError: no choice of widths is fast enough, or a table lacks the parameters that are to be counted.
        Unfinished: the search takes too long.
    """
    limit_us = problem.total_us(problem.current) if at_most_us is None else at_most_us
    program = _Program(problem, only_wider)
    gains = program.gains if count is Count.CHANNELS else program.parameters()
    # Limits as shares: the solver's tolerances are absolute, and parameters come in millions.
    limits = [(program.times / limit_us, -np.inf, 1 + _GAP)] if limit_us > 0 else [(program.times, -np.inf, limit_us)]
    if at_most_parameters is not None:
        limits.append((program.parameters() / at_most_parameters, -np.inf, 1.0))
    return program.solve(-gains, limits, _GAP if at_most_parameters is None else _ROUGH_GAP, _LEFT)


class Unfinished(UsageError):  # noqa: N818  # a limit, not a mistake
    """The search for the best widths ran out of time."""


@dataclass(frozen=True)
class _Side:
    """One end of a layer: which of its pairs has which width there."""

    parts: Mapping[str, Fraction]
    fixed: int
    widths: np.ndarray


class _Program:
    """The variables: one per width of each group, then one per pair of each layer."""

    def __init__(self, problem: WidthProblem, only_wider: bool) -> None:
        self._problem = problem
        self._of_group: dict[str, tuple[int, tuple[int, ...]]] = {}
        self._rows: list[tuple[dict[int, float], float]] = []
        count = 0
        for group in problem.groups:
            choices = tuple(width for width in group.choices if not only_wider or width >= group.current)
            self._of_group[group.name] = (count, choices)
            self._rows.append(({count + index: 1.0 for index in range(len(choices))}, 1.0))
            count += len(choices)
        self._widths = count
        times: list[float] = [0.0] * count
        whole: list[bool] = [True] * count
        for layer in problem.layers:
            pairs = np.array(sorted(layer.times_us))
            first = len(times)
            self._rows.append(({first + index: 1.0 for index in range(len(pairs))}, 1.0))
            sides = (
                _Side(layer.inputs.parts, layer.inputs.fixed, pairs[:, 0]),
                _Side(layer.outputs.parts, layer.outputs.fixed, pairs[:, 1]),
            )
            for side in sides:
                self._link(side, first)
            times.extend(layer.count * layer.times_us[tuple(pair)] for pair in pairs.tolist())
            # Where each side follows one group, whole widths make whole pairs by themselves.
            whole.extend([any(len(side.parts) > 1 for side in sides)] * len(pairs))
        self.times = np.array(times)
        self._whole = np.array(whole, dtype=np.int64)
        self.gains = np.zeros(len(times))
        for group in problem.groups:
            start, choices = self._of_group[group.name]
            for index, width in enumerate(choices):
                self.gains[start + index] = group.weight * (width - group.current)

    def _link(self, side: _Side, first: int) -> None:
        """Tie the pairs of a layer to the groups that make their widths."""
        pairs = range(first, first + side.widths.size)
        if not side.parts:
            other = {pair: 1.0 for pair, each in zip(pairs, side.widths.tolist(), strict=True) if each != side.fixed}
            self._rows.append((other, 0.0))
            return
        if len(side.parts) == 1:
            # One equation per width: far tighter for the solver than one for their sum.
            ((name, share),) = side.parts.items()
            start, choices = self._of_group[name]
            made = {side.fixed + share * width: start + index for index, width in enumerate(choices)}
            for width in {*made, *(Fraction(int(each)) for each in side.widths)}:
                row = {pair: 1.0 for pair, each in zip(pairs, side.widths.tolist(), strict=True) if each == width}
                if width in made:
                    row[made[width]] = -1.0
                self._rows.append((row, 0.0))
            return
        row = {pair: float(width) for pair, width in zip(pairs, side.widths.tolist(), strict=True)}
        for name, share in side.parts.items():
            start, choices = self._of_group[name]
            row.update({start + index: -float(share * width) for index, width in enumerate(choices)})
        self._rows.append((row, float(side.fixed)))

    def parameters(self) -> np.ndarray:
        """What each pair of each layer counts in parameters."""
        found = np.zeros(self.times.size)
        start = self._widths
        for layer in self._problem.layers:
            for place, pair in enumerate(sorted(layer.times_us), start):
                if pair not in layer.parameters:
                    raise UsageError(
                        f"{layer.name} has no count of parameters at {pair[0]} inputs and {pair[1]} outputs; give one "
                        "for every pair, or count channels"
                    )
                found[place] = layer.count * layer.parameters[pair]
            start += len(layer.times_us)
        return found

    def solve(
        self,
        objective: np.ndarray,
        limits: Sequence[tuple[np.ndarray, float, float]],
        gap: float = _GAP,
        left: float = 0.0,
    ) -> dict[str, int]:
        """The widths of least ``objective`` within ``gap``; within ``left`` where the time is up."""
        size = self.times.size
        if not size:
            return {}
        entries = [(line, column, value) for line, (row, _) in enumerate(self._rows) for column, value in row.items()]
        lines, columns, values = (np.array(each) for each in zip(*entries, strict=True))
        equal = np.array([value for _, value in self._rows])
        matrix = coo_array((values, (lines, columns)), shape=(len(self._rows), size)).tocsr()
        constraints = [LinearConstraint(matrix, equal, equal)]
        constraints += [LinearConstraint(row[None, :], low, high) for row, low, high in limits]
        found = milp(
            # The solver's tolerances are absolute, and times may be in any order of magnitude.
            objective / (np.abs(objective).max() or 1.0),
            constraints=constraints,
            integrality=self._whole,
            bounds=Bounds(0, 1),
            options={"mip_rel_gap": gap, "time_limit": _LONGEST_S},
        )
        if found.status == _INFEASIBLE:
            raise UsageError(
                "no choice of widths meets the limits with times in every table; measure more pairs or allow more"
            )
        nearly = found.status == _OUT_OF_TIME and found.x is not None and found.mip_gap <= left
        if found.x is None or (found.status != 0 and not nearly):
            raise Unfinished(f"the solver did not finish: {found.message}; give fewer candidates")
        return {
            name: choices[int(np.argmax(found.x[start : start + len(choices)]))]
            for name, (start, choices) in self._of_group.items()
        }
