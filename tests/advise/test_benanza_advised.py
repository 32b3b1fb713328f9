"""Times of advised algorithms come out of other models' totals where those tell them, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from benanza_advised import Excess, advised_key, differing, equations, fastest_us
from headroom.graph.tensor import DataType
from headroom.store.benanza.call import Call
from headroom.store.benanza.published import Published, PublishedLayer, PublishedTotal, Run
from headroom.store.benanza.timed import TimedCall
from headroom.store.rows import System

SYSTEM = System("A GPU", "", "10.1", "7.6.3", "", "")


def call(channels: int, time_us: float, advised: str = "WINOGRAD") -> TimedCall:
    """A convolution whose fastest algorithm is GEMM."""
    made = Call("CONV_FWD", "GEMM", DataType.FP32, "fp32", (1, channels, 8, 8), channels_out=4)
    return TimedCall(SYSTEM, 1, made, time_us, 100, None, advised)


FIRST, SECOND, FINE = call(1, 10), call(2, 20), call(3, 30, advised="GEMM")


def published(models: dict[str, list[TimedCall]], excess_us: dict[TimedCall, float]) -> Published:
    runs = {
        Run(name, "A GPU", 1): {f"{name}{i}": PublishedLayer((each,), 1) for i, each in enumerate(calls)}
        for name, calls in models.items()
    }
    totals = []
    for name, calls in models.items():
        total_us = sum(each.time_us + excess_us.get(each, 0.0) for each in calls)
        totals.append(PublishedTotal(Run(name, "A GPU", 1), "serial", "cudnn_advised", total_us, total_us))
    return Published({}, runs, tuple(totals))


def solve(models: dict[str, list[TimedCall]], excess_us: dict[TimedCall, float]) -> Excess:
    (found,) = equations(published(models, excess_us), {})
    return found


def test_only_convolutions_whose_advised_algorithm_is_another_count_as_often_as_they_stand() -> None:
    layers = {"a": PublishedLayer((FIRST,), 2), "b": PublishedLayer((FINE,), 1), "c": PublishedLayer((FIRST,), 1)}
    assert differing(layers) == {FIRST: 3}
    assert fastest_us(layers) == 2 * 10 + 30 + 10


def test_other_models_tell_what_a_model_of_the_same_convolutions_loses() -> None:
    system = solve(
        {"small": [FIRST], "both": [FIRST, SECOND], "other": [FIRST, SECOND, FINE, FINE], "alone": [SECOND]},
        {FIRST: 5, SECOND: 7},
    )
    assert system.of_others(Run("other", "A GPU", 1)) == pytest.approx(12)
    assert system.of_others(Run("small", "A GPU", 1)) == pytest.approx(5)


def test_what_only_a_models_own_total_tells_is_not_told() -> None:
    system = solve({"small": [FIRST], "large": [FIRST, SECOND]}, {FIRST: 5, SECOND: 7})
    assert system.of_others(Run("large", "A GPU", 1)) is None


def test_a_wrong_total_of_the_model_itself_changes_nothing_of_what_others_tell() -> None:
    system = solve({"one": [FIRST], "two": [FIRST, FINE]}, {FIRST: 5})
    lied = Excess(
        system.runs, system.convolutions, system.counts, system.missing_us + np.array([0, 99]), system.known_us
    )
    assert lied.of_others(Run("two", "A GPU", 1)) == pytest.approx(5)


def test_all_totals_together_give_each_advised_time_and_none_below_the_fastest() -> None:
    system = solve({"one": [FIRST], "two": [FIRST, SECOND]}, {FIRST: 5, SECOND: 7})
    times = system.of_all()
    assert times[advised_key(FIRST)] == pytest.approx(15)
    assert times[advised_key(SECOND)] == pytest.approx(27)
    below = solve({"one": [FIRST]}, {FIRST: -3}).of_all()
    assert below[advised_key(FIRST)] == pytest.approx(10)


def test_without_a_differing_convolution_nothing_is_missing() -> None:
    system = solve({"one": [FINE]}, {})
    assert system.of_all() == {}
    assert system.of_others(Run("one", "A GPU", 1)) in (0.0, None)
