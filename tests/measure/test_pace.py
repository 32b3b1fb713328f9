"""How long the rest of a run is expected to take."""

from __future__ import annotations

import time

import pytest

from headroom.measure.pace import Pace
from measure.chains import CONV, RELU, task


def test_what_was_measured_soon_outweighs_the_first_guess() -> None:
    pace = Pace([])
    first = pace.expects(task(CONV))
    for _ in range(50):
        pace.took(task(CONV), 4.0)
    assert first < 2.0
    assert pace.expects(task(CONV)) == pytest.approx(4.0, rel=0.05)
    assert pace.expects(task(RELU)) < 1.0, "another kind of layer is another pace"


def test_what_has_begun_is_no_longer_ahead() -> None:
    pace = Pace([task(CONV), task(CONV), task(RELU)])
    assert pace.left_s == 2 * pace.expects(task(CONV)) + pace.expects(task(RELU))
    for chain in (CONV, RELU, CONV):
        pace.began(task(chain))
    assert pace.left_s == 0.0


@pytest.mark.alone
def test_the_estimate_of_thousands_of_layers_costs_next_to_nothing() -> None:
    tasks = [task(CONV)] * 5000
    pace, begin = Pace(tasks), time.process_time()
    for each in tasks:
        assert pace.left_s > 0
        pace.began(each)
        pace.took(each, 1.0)
    assert time.process_time() - begin < 1.0
