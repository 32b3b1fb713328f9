"""Noise and clocks: which samples count, and what a reading is worth (promises 14 and 15)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.measure.bench import Check, Facts, Reading
from headroom.measure.fake import FakeProgram
from headroom.measure.fake_script import Script, fake_facts
from headroom.measure.verdict import judge, timing_of, together
from headroom.store.rows import Implementation, Status, Timing

FULL_MHZ = 1980.0

#: Recorded on an H200: the clock settles in steps of 15 MHz.
STEADY = (1980.0, 1980.0, 1965.0, 1980.0, 1980.0, 1965.0, 1980.0, 1980.0, 1980.0, 1965.0, 1980.0, 1980.0)

POWER_LIMIT = 0x4
IDLE = 0x1
APPLICATION_CLOCKS = 0x2
UNKNOWN_BIT = 0x4000


def reading(clocks: tuple[float, ...], *, mask: int = 0, samples: tuple[float, ...] | None = None) -> Reading:
    """A kernel whose time goes with the inverse of the clock, unless samples are given."""
    samples = samples or tuple(100.0 * FULL_MHZ / clock for clock in clocks)
    return Reading(samples, clocks, 3201.0, 0, mask)


def test_a_steady_clock_is_a_result() -> None:
    verdict = judge(reading(STEADY), FULL_MHZ)
    assert verdict.status is Status.OK
    assert verdict.samples == len(STEADY)
    assert verdict.sm_clock_mhz == FULL_MHZ


def test_a_short_dip_costs_its_samples_only() -> None:
    dipped = (*STEADY, *STEADY, 1400.0)
    verdict = judge(reading(dipped), FULL_MHZ)
    assert verdict.status is Status.OK
    assert verdict.samples == len(dipped) - 1
    assert verdict.median_us == pytest.approx(100.0, rel=0.01)


@pytest.mark.parametrize("low_share", [0.2, 0.5, 0.8])
def test_a_step_of_the_clock_is_throttling_wherever_it_happens(low_share: float) -> None:
    low = round(20 * low_share)
    verdict = judge(reading((FULL_MHZ,) * (20 - low) + (1400.0,) * low), FULL_MHZ)
    assert verdict.status is Status.THROTTLED


def test_a_ramp_is_throttling() -> None:
    assert judge(reading(tuple(1980.0 - 30.0 * i for i in range(20))), FULL_MHZ).status is Status.THROTTLED


def test_a_sawtooth_is_throttling() -> None:
    assert judge(reading((1980.0, 1900.0, 1700.0, 1500.0) * 5), FULL_MHZ).status is Status.THROTTLED


def test_exactly_a_tenth_of_slow_samples_is_not_yet_throttling() -> None:
    clocks = (FULL_MHZ,) * 18 + (1400.0,) * 2
    assert judge(reading(clocks), FULL_MHZ).status is Status.OK
    assert judge(reading((*clocks, 1400.0)), FULL_MHZ).status is Status.THROTTLED


def test_an_unknown_clock_event_is_never_ignored() -> None:
    verdict = judge(reading(STEADY, mask=UNKNOWN_BIT), FULL_MHZ)
    assert verdict.status is Status.THROTTLED
    assert "0x4000" in verdict.reason
    assert verdict.mask == UNKNOWN_BIT


@pytest.mark.parametrize("mask", [0, IDLE, APPLICATION_CLOCKS, IDLE | APPLICATION_CLOCKS])
def test_idling_and_chosen_clocks_are_not_throttling(mask: int) -> None:
    verdict = judge(reading((1200.0,) * 12, mask=mask), FULL_MHZ)
    assert verdict.status is Status.OK
    assert verdict.mask == mask


def test_a_power_limit_counts_where_it_cost_clock() -> None:
    slowed = judge(reading((1500.0,) * 12, mask=POWER_LIMIT), FULL_MHZ)
    assert slowed.status is Status.THROTTLED
    assert slowed.reason == "the driver slowed the GPU down at 1500 MHz: power limit"
    assert judge(reading(STEADY, mask=POWER_LIMIT), FULL_MHZ).status is Status.OK
    assert judge(reading(STEADY, mask=POWER_LIMIT)).status is Status.THROTTLED, "nobody knows the full clock"


def test_masks_before_and_after_are_kept_together() -> None:
    assert judge(Reading((1.0,) * 12, STEADY, None, 0x1, 0x2)).mask == 0x3
    assert judge(Reading((1.0,) * 12, STEADY, None, None, None)).mask is None


def test_fewer_than_ten_samples_are_no_result() -> None:
    assert judge(reading(STEADY[:9]), FULL_MHZ).status is Status.UNSTABLE
    assert judge(reading(STEADY[:10]), FULL_MHZ).status is Status.OK
    assert judge(reading(())).median_us is None


@pytest.mark.parametrize(
    ("spread", "status", "noisy"), [(0.05, "ok", False), (0.2, "ok", True), (0.3, "unstable", True)]
)
def test_noise_has_a_name(spread: float, status: str, noisy: bool) -> None:
    samples = tuple(100.0 * (1 + 2 * spread * (i / 20 - 0.5)) for i in range(21))
    row = row_of(reading((FULL_MHZ,) * 21, samples=samples))
    assert row.noise == pytest.approx(spread, rel=0.01)
    assert (row.status, row.is_noisy) == (status, noisy)


def row_of(what: Reading) -> Timing:
    implementation = Implementation("fake", "plan0")
    return timing_of(what, FakeProgram({}, ""), Check(1e-4, 1e-2), facts(), implementation, "warm", "2026-11-21")


def facts() -> Facts:
    return fake_facts(Script())


def test_without_clocks_every_sample_counts() -> None:
    verdict = judge(Reading(tuple(100.0 + i for i in range(12)), (), None, None, None))
    assert (verdict.status, verdict.samples, verdict.sm_clock_mhz) == (Status.OK, 12, None)


def test_two_readings_are_one() -> None:
    both = together(reading(STEADY, mask=1), reading(STEADY, mask=4))
    assert len(both.samples_us) == len(both.sm_clocks_mhz) == 2 * len(STEADY)
    assert both.mask_after == 5


@given(st.lists(st.tuples(st.floats(0.1, 1e6), st.floats(200.0, 2000.0)), max_size=40), st.integers(0, 0xFFFF))
def test_a_result_is_never_made_of_slowed_samples(pairs: list[tuple[float, float]], mask: int) -> None:
    samples, clocks = tuple(s for s, _ in pairs), tuple(c for _, c in pairs)
    verdict = judge(Reading(samples, clocks, None, 0, mask), FULL_MHZ)
    assert verdict.mask == mask
    if verdict.status is Status.OK:
        assert verdict.samples >= 10
        assert verdict.median_us is not None
        assert math.isfinite(verdict.median_us)
        assert verdict.samples >= math.floor(0.9 * len(samples))
        assert mask & ~0x1FF == 0
