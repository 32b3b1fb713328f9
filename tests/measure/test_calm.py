"""A reading that was disturbed is taken again."""

from __future__ import annotations

from collections.abc import Iterator

from headroom.measure.bench import Reading
from headroom.measure.calm import ATTEMPTS, calmest


def reading(spread: float) -> Reading:
    """Ten samples whose middle half spreads over about ``spread`` of their median."""
    samples = tuple(10.0 * (1 + spread * (2 * i / 9 - 1)) for i in range(10))
    return Reading(samples, (), None, None, None)


def readings(*spreads: float) -> tuple[Iterator[Reading], list[Reading]]:
    made = [reading(spread) for spread in spreads]
    return iter(made), made


def test_a_calm_reading_is_taken_once() -> None:
    left, made = readings(0.001, 0.0)
    assert calmest(lambda: next(left), "warm") is made[0]
    assert next(left) is made[1]


def test_a_disturbed_reading_is_taken_again() -> None:
    left, made = readings(0.2, 0.001)
    assert calmest(lambda: next(left), "warm") is made[1]


def test_where_none_is_calm_the_calmest_counts() -> None:
    left, made = readings(0.3, 0.1, 0.2)
    assert len(made) == ATTEMPTS
    assert calmest(lambda: next(left), "warm") is made[1]


def test_cold_readings_may_spread_further() -> None:
    made = [reading(0.05), reading(0.0)]
    left = iter(made)
    assert calmest(lambda: next(left), "cold") is made[0]
