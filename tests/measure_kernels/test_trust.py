"""The stopwatch's own test: what passes and what does not."""

from __future__ import annotations

import json

import pytest

from headroom.measure.bench import Check
from headroom.measure.trust import Claim, Duration, SelfTest, clock_claim, cold_claim, output_claim
from measure_kernels.stand_ins import CLOCK_MHZ, BenchStandIn


def test_a_right_stopwatch_passes_from_50_us_to_10_ms_in_both_states_of_the_cache() -> None:
    bench = BenchStandIn()
    test = bench.run()
    assert test.failures == ()
    assert {d.l2 for d in test.durations} == {"warm", "cold"}
    assert min(d.known_us for d in test.durations) == pytest.approx(50, rel=0.02)
    assert max(d.known_us for d in test.durations) == pytest.approx(10_000, rel=0.02)
    assert len(bench.said) == 9


@pytest.mark.parametrize(("factor", "offset_us"), [(1.03, 0.0), (0.97, 0.0), (1.0, 9.0), (1.0, -9.0), (2.0, 0.0)])
def test_a_stopwatch_that_is_off_fails(factor: float, offset_us: float) -> None:
    failures = BenchStandIn(factor, offset_us).run().failures
    assert any("read as" in failure for failure in failures)


def test_the_tolerance_is_the_larger_of_two_and_a_half_percent_and_eight_microseconds() -> None:
    assert Duration("warm", 50.0, 57.9).held
    assert not Duration("warm", 50.0, 58.1).held
    assert Duration("warm", 10_000.0, 10_249.0).held
    assert not Duration("warm", 10_000.0, 10_251.0).held
    assert not Duration("warm", 50.0, float("nan")).held


def test_a_cold_cache_that_is_not_cold_fails() -> None:
    (failure,) = BenchStandIn(cold_factor=1.0).run().failures
    assert "cold" in failure
    assert "MiB" in failure
    assert not cold_claim(1 << 20, 0.0, 0.0).held


def test_a_clock_that_nobody_saw_fails() -> None:
    (failure,) = BenchStandIn(clock_mhz=1500.0).run().failures
    assert "1500 MHz sampled, 1980 MHz counted" in failure
    assert not clock_claim((), 10, CLOCK_MHZ).held
    assert not clock_claim((CLOCK_MHZ,) * 9, 10, CLOCK_MHZ).held
    assert not clock_claim((0.0,) * 10, 10, CLOCK_MHZ).held


def test_a_check_that_lets_everything_through_fails() -> None:
    (failure,) = BenchStandIn(checks=False).run().failures
    assert failure.startswith("a wrong output is caught")
    assert not output_claim(Check(1.0, 0.1), Check(1.0, 0.1)).held, "a check that refuses everything is no better"


def test_a_test_that_timed_nothing_does_not_pass() -> None:
    assert SelfTest("system", (), ()).failures == ("no kernel was timed",)


def test_claims_survive_the_way_through_json() -> None:
    test = BenchStandIn().run()
    more = Claim("a lost context is noticed", True, "it was")
    back = SelfTest.from_json(json.loads(json.dumps(test.to_json())), more)
    assert back == SelfTest(test.system, test.durations, (*test.claims, more))
