"""In which order a fleet hands out layers."""

from __future__ import annotations

from headroom.measure.fleet.sweep import longest_first
from headroom.measure.pace import Pace
from headroom.measure.plan import plan_tasks
from headroom.measure.run import Wishes
from measure.chains import net
from measure_fleet.fleets import BF16

PLANNED = plan_tasks(net(), BF16)


def test_what_takes_longest_to_measure_goes_first() -> None:
    pace = Pace(item.task for item in PLANNED)
    costs = [pace.expects(item.task) for item in longest_first(PLANNED, pace, Wishes())]
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) > 1


def test_of_layers_that_take_as_long_to_measure_the_slower_one_goes_first() -> None:
    pace = Pace(item.task for item in PLANNED)
    ordered = longest_first(PLANNED, pace, Wishes())
    for cost in {pace.expects(item.task) for item in ordered}:
        once_us = [item.value_us / item.count for item in ordered if pace.expects(item.task) == cost]
        assert once_us == sorted(once_us, reverse=True)


def test_within_a_budget_the_most_valuable_goes_first() -> None:
    pace = Pace(item.task for item in PLANNED)
    assert longest_first(PLANNED, pace, Wishes(budget_s=60.0)) == PLANNED
