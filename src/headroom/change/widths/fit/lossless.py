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
        limit_us = min((each.time_us for each in round_ups(space)), default=float("inf"))
        return Choice(_without_small_moves(space, best, max(limit_us, space.time_us(best))))


def _without_small_moves(space: Space, widths: dict[str, int], limit_us: float) -> dict[str, int]:
    """Groups get as narrow as saves next to nothing less, those that save least first, while ``limit_us`` is kept.

    Each channel costs memory and each move a proof, and where a prediction is flat the narrower width is the safer one.
    """
    worth_us = _WORTH * space.time_us({})
    while True:
        now_us = space.time_us(widths)
        costs = {
            (group.name, fewer): cost_us
            for group in space.problem.groups
            for fewer in group.choices
            if group.current <= fewer < widths[group.name]
            and space.problem.has_times(back := {**widths, group.name: fewer})
            and (cost_us := space.time_us(back) - now_us) <= min(worth_us, limit_us - now_us)
        }
        least = min(costs, key=lambda move: (costs[move], move[1]), default=None)
        if least is None:
            return widths
        widths = {**widths, least[0]: least[1]}
