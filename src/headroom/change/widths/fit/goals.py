"""What widths can be chosen for. Another goal is another file, and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from headroom.change.widths.fit.choice import Goal
from headroom.change.widths.fit.latency import Latency
from headroom.change.widths.fit.lossless import Lossless
from headroom.change.widths.fit.more_accurate import Accuracy
from headroom.errors import UsageError

#: By the name that a user gives.
GOALS: Mapping[str, Goal] = {goal.name: goal for goal in (Lossless(), Latency(), Latency(by_paper=True), Accuracy())}


def find_goal(name: str) -> Goal:
    """The goal called ``name``.

    Raises:
        UsageError: there is none.
    """
    if name not in GOALS:
        raise UsageError(f"unknown goal {name!r}: choose {', '.join(GOALS)}")
    return GOALS[name]
