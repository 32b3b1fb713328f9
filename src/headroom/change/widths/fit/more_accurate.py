"""The accuracy goal: most parameters at no more latency (equation 6), in a network that starts at its old accuracy."""

from __future__ import annotations

from headroom.change.widths.fit.candidates import Bounds
from headroom.change.widths.fit.choice import Asked, Choice
from headroom.change.widths.fit.space import Space
from headroom.change.widths.solve import Count, widest
from headroom.errors import UsageError


class Accuracy:
    """Only wider, with fresh channels that are read with weight zero: training turns them on."""

    name = "accuracy"
    lossless = False
    fresh = True
    bounds = Bounds(most=1.5, rounded=16)

    def check(self, asked: Asked) -> None:
        if asked != Asked():
            raise UsageError("the accuracy goal keeps the latency as it is: leave out saves and tolerance")

    def choose(self, space: Space, asked: Asked) -> Choice:
        most = space.most_parameters
        widths = widest(space.problem, only_wider=True, count=Count.PARAMETERS, at_most_parameters=most)
        before, after = (space.problem.total_parameters(each) for each in (space.problem.current, widths))
        return Choice(widths, parameters=(before, after))
