"""The latency goal: a share of the latency saved, by giving up channels where that gains most and adding them where it
costs nothing (section 4.3 of the tail-effect paper, equations 7 and 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headroom.change.widths.fit.candidates import Bounds
from headroom.change.widths.fit.choice import Asked, Choice
from headroom.change.widths.fit.space import Space
from headroom.change.widths.solve import Unfinished, WidthProblem, algorithm_2, fastest, widest
from headroom.errors import UsageError

#: Half of a layer's channels are given up at most, a quarter is added.
_BOUNDS = Bounds(least=0.5, most=1.25, rounded=16)

#: Sums of times in another order are equal.
_ROUNDING = 1e-9

#: Tau of Algorithm 2 where only a target is given, in channels: it doubles from there.
_FIRST_TOLERANCE = 8.0


@dataclass(frozen=True)
class Latency:
    """Chosen exactly; with a tolerance by equation 7, without one as wide as the target lets it be.

    The paper's algorithm answers beside it, on the same tables and with the same tolerance, where it keeps that: the
    exact choice is never slower. With ``by_paper`` its answer is the one that counts.
    """

    by_paper: bool = False
    lossless: bool = False
    fresh: bool = False
    bounds: Bounds = _BOUNDS

    @property
    def name(self) -> str:
        return "latency-paper" if self.by_paper else "latency"

    def check(self, asked: Asked) -> None:
        if asked.saves is None and asked.tolerance is None:
            raise UsageError(
                f"the {self.name} goal needs saves, the share of the latency to save, or a tolerance in channels"
            )

    def choose(self, space: Space, asked: Asked) -> Choice:
        if self.by_paper or asked.tolerance is not None:
            return self._exchanged(space, asked)
        return _as_wide_as_allowed(space, _limit_us(space, asked))

    def _exchanged(self, space: Space, asked: Asked) -> Choice:
        """Equation 7. As in line 18 of Algorithm 2 the tolerance doubles until the target is met."""
        problem, limit_us = space.problem, _limit_us(space, asked)
        target = limit_us / problem.total_us(problem.current)
        tolerance = asked.tolerance or _FIRST_TOLERANCE
        if self.by_paper:
            paper = algorithm_2(problem, tolerance, target)
            return Choice(paper.widths, (_within(paper.tolerance), *_missed(problem, paper.widths, limit_us)))
        widths = fastest(problem, tolerance=tolerance)
        while not _met(problem, widths, limit_us) and tolerance <= _largest_gain(problem):
            tolerance *= 2
            widths = fastest(problem, tolerance=tolerance)
        rival_us = _rival_us(problem, tolerance, target)
        notes = (_within(tolerance), *_missed(problem, widths, limit_us))
        return Choice(widths, notes, None if rival_us is None else space.fixed_us + rival_us)


def _rival_us(problem: WidthProblem, tolerance: float, target: float) -> float | None:
    """What Algorithm 2 comes to; ``None`` where it leaves the tolerance, which its greedy exchange may."""
    paper = algorithm_2(problem, tolerance, target)
    kept = paper.tolerance == tolerance and abs(problem.gain(paper.widths)) < tolerance
    return paper.total_us if kept else None


def _largest_gain(problem: WidthProblem) -> float:
    """No choice gains or loses more channels than this."""
    return sum(max(each.choices[-1] - each.current, each.current - each.choices[0]) for each in problem.groups)


def _limit_us(space: Space, asked: Asked) -> float:
    """What the layers that groups move may take; all that it takes now is no target but a bound."""
    total_us = space.time_us({})
    return total_us * (1 - (asked.saves or 0.0)) - space.fixed_us


def _as_wide_as_allowed(space: Space, limit_us: float) -> Choice:
    """Most channels of all choices that are fast enough."""
    problem = space.problem
    quickest = fastest(problem)
    if not _met(problem, quickest, limit_us):
        return Choice(quickest, _missed(problem, quickest, limit_us))
    try:
        return Choice(widest(problem, at_most_us=limit_us, at_most_parameters=space.most_parameters))
    except Unfinished:
        return Choice(quickest, ("The search for the widest network took too long; this is the fastest instead.",))


def _within(tolerance: float) -> str:
    return f"The tolerance is {tolerance:g} channels."


def _met(problem: WidthProblem, widths: Mapping[str, int], limit_us: float) -> bool:
    return problem.total_us(widths) <= limit_us * (1 + _ROUNDING)


def _missed(problem: WidthProblem, widths: Mapping[str, int], limit_us: float) -> tuple[str, ...]:
    if _met(problem, widths, limit_us):
        return ()
    return ("The target is out of reach between these bounds; this is as fast as it gets.",)
