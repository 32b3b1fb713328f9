"""Ten samples or more, each long enough, whatever the network's speed; energy per inference where it is told."""

from __future__ import annotations

from itertools import chain, repeat

import pytest

from headroom.measure.networks.sampling import MAX_SAMPLES, MIN_SAMPLES, SAMPLE_US, energy_mj, read
from measure_networks.stand_ins import Dial, Stage, nothing


@pytest.mark.parametrize(("once_us", "samples"), [(50.0, MAX_SAMPLES), (3000.0, MAX_SAMPLES), (500_000.0, MIN_SAMPLES)])
def test_a_slow_network_has_ten_samples_and_a_fast_one_more(once_us: float, samples: int) -> None:
    reading = read(nothing, Stage(repeat(once_us)), Dial())
    assert len(reading.samples_us) == samples
    assert len(reading.sm_clocks_mhz) == samples


def test_a_sample_is_long_beside_the_waiting_at_its_end() -> None:
    stage = Stage(repeat(100.0))
    read(nothing, stage, Dial())
    assert stage.runs >= MAX_SAMPLES * SAMPLE_US / 100.0


def test_the_clock_is_read_with_every_sample() -> None:
    clocks = [1980.0] * 15 + [1200.0] * 5
    reading = read(nothing, Stage(), Dial(clocks=chain(clocks)))
    assert reading.sm_clocks_mhz == tuple(clocks)


def test_energy_is_the_boards_own_counter_shared_by_the_inferences_in_between() -> None:
    dial = Dial(energies=chain([5_000.0, 5_000.0, 405_000.0]))
    assert energy_mj(nothing, Stage(), dial, seconds=1.0, once_us=1000.0) == pytest.approx(400.0)


@pytest.mark.parametrize("energies", [[None], [7.0, 7.0, 7.0], [7.0, 7.0, None]])
def test_a_counter_that_tells_nothing_gives_no_energy(energies: list[float | None]) -> None:
    assert energy_mj(nothing, Stage(), Dial(energies=chain(energies)), 1.0, 1000.0) is None


def test_no_energy_is_asked_for_no_energy_is_measured() -> None:
    stage = Stage()
    assert energy_mj(nothing, stage, Dial(energies=repeat(1.0)), 0.0, 1000.0) is None
    assert stage.runs == 0
