"""The lossless goal: channels of zeros only, all groups chosen together for least time."""

from __future__ import annotations

from headroom.change.widths.fit.candidates import Bounds
from headroom.change.widths.fit.choice import Asked, Choice
from headroom.change.widths.fit.space import Space
from headroom.change.widths.fit.uniform import round_ups
from headroom.change.widths.solve import fastest
from headroom.errors import UsageError

#: A group moves for no less than this share of the network's time.
_WORTH = 1e-3


class Lossless:
    """Least time of all wider networks that compute the same. Never more than the network as it is."""

    name = "lossless"
    lossless = True
    fresh = False
    bounds = Bounds()

    def check(self, asked: Asked) -> None:
        if asked != Asked():
            raise UsageError("the lossless goal takes all that is to be had: leave out saves and tolerance")

    def choose(self, space: Space, asked: Asked) -> Choice:
        best = fastest(space.problem, only_wider=True)
        fewer = _without_small_moves(space, best)
        limit_us = min((each.time_us for each in round_ups(space)), default=float("inf"))
        return Choice(fewer if space.time_us(fewer) <= limit_us else best)


def _without_small_moves(space: Space, widths: dict[str, int]) -> dict[str, int]:
    """Groups go back whose move saves next to nothing, the least first: each costs memory and a proof."""
    present = space.problem.current
    worth_us = _WORTH * space.time_us({})
    while True:
        costs = {
            name: space.time_us(back) - space.time_us(widths)
            for name in widths
            if widths[name] != present[name] and space.problem.has_times(back := {**widths, name: present[name]})
        }
        least = min(costs, key=lambda name: costs[name], default=None)
        if least is None or costs[least] > worth_us:
            return widths
        widths = {**widths, least: present[least]}
