"""The stopwatch on a simulated GPU: what it reads, how long it takes, whose clock is whose."""

from __future__ import annotations

import statistics

import pytest

from headroom.errors import UsageError
from headroom.measure.bench import HopelessError, Reading
from headroom.measure.cuda.pace import LEAST_SAMPLES, MOST_LAUNCHES, PRECISE, QUICK, pace_of
from headroom.measure.cuda.stopwatch import Stopwatch
from measure_cuda.simulated import SimulatedGpu

FLUSH_US = 40.0


def read(gpu: SimulatedGpu, time_us: float, l2: str = "warm", *, precise: bool = False) -> Reading:
    watch = Stopwatch(gpu, gpu, gpu.kernel(FLUSH_US), gpu.pause)
    return watch.read(gpu.kernel(time_us), l2, precise=precise, nothing=gpu.kernel(1.0))


@pytest.mark.parametrize("time_us", [1.5, 5.0, 40.0, 300.0, 2_000.0, 20_000.0])
@pytest.mark.parametrize("precise", [False, True])
def test_the_time_is_that_of_the_kernel(time_us: float, precise: bool) -> None:
    reading = read(SimulatedGpu(), time_us, precise=precise)
    assert len(reading.samples_us) >= LEAST_SAMPLES
    # A graph's start stays in the sample: a few microseconds over its length.
    limit = 0.008 if precise else 0.03
    assert statistics.median(reading.samples_us) == pytest.approx(time_us, rel=limit)


@pytest.mark.parametrize("time_us", [5.0, 40.0, 300.0, 2_000.0])
def test_a_cold_time_is_what_the_launches_add_to_the_flushes(time_us: float) -> None:
    reading = read(SimulatedGpu(), time_us, "cold", precise=True)
    assert len(reading.samples_us) >= LEAST_SAMPLES
    # The start of a graph is in both of a pair and drops out.
    assert reading.samples_us == pytest.approx([time_us] * len(reading.samples_us), rel=1e-6)


@pytest.mark.parametrize("time_us", [1.5, 10.0, 100.0])
def test_a_quick_reading_costs_about_three_milliseconds(time_us: float) -> None:
    gpu = SimulatedGpu()
    read(gpu, time_us)
    assert gpu.gpu_us < 3_500


def test_a_precise_reading_costs_less_than_twenty_milliseconds() -> None:
    gpu = SimulatedGpu()
    read(gpu, 10.0, precise=True)
    assert gpu.gpu_us < 20_000


@pytest.mark.parametrize("precise", [False, True])
def test_a_launch_of_a_fifth_of_a_second_runs_eleven_times_and_no_more(precise: bool) -> None:
    gpu = SimulatedGpu()
    read(gpu, 200_000.0, precise=precise)
    assert sum(time_us > 100_000 for time_us in gpu.replays) == LEAST_SAMPLES + 1


def test_a_launch_that_cannot_win_gets_no_samples_unless_they_cost_next_to_nothing() -> None:
    gpu = SimulatedGpu()
    watch = Stopwatch(gpu, gpu, gpu.kernel(FLUSH_US), gpu.pause)
    with pytest.raises(HopelessError, match="one launch took"):
        watch.read(gpu.kernel(20_000.0), "warm", precise=False, hopeless_us=100.0)
    assert len(gpu.replays) == 1
    assert watch.read(gpu.kernel(30.0), "warm", precise=False, hopeless_us=10.0).samples_us


@pytest.mark.parametrize("disturbed", range(12))
def test_one_disturbed_replay_neither_makes_a_launch_hopeless_nor_its_samples_short(disturbed: int) -> None:
    gpu = SimulatedGpu(delays_us={disturbed: 280.0})
    watch = Stopwatch(gpu, gpu, gpu.kernel(FLUSH_US), gpu.pause)
    reading = watch.read(gpu.kernel(2.0), "warm", precise=False, nothing=gpu.kernel(1.0), hopeless_us=16.0)
    assert gpu.captured[-1] == pytest.approx(pace_of(2.0, QUICK).launches, rel=0.1)
    assert statistics.median(reading.samples_us) == pytest.approx(2.0, rel=0.03)


def test_short_launches_share_a_sample_and_long_ones_do_not() -> None:
    assert pace_of(2.0, QUICK).launches == 75
    assert pace_of(0.01, PRECISE).launches == MOST_LAUNCHES
    assert pace_of(5_000.0, PRECISE).launches == 1
    assert pace_of(100_000.0, PRECISE).samples == LEAST_SAMPLES


def test_every_sample_has_the_clock_that_was_read_while_it_ran() -> None:
    # The clock falls for good after four milliseconds.
    gpu = SimulatedGpu(sm_clock=lambda now_us: 1980.0 if now_us < 4_000 else 1200.0)
    reading = read(gpu, 500.0, precise=True)
    assert len(reading.sm_clocks_mhz) == len(reading.samples_us)
    assert set(reading.sm_clocks_mhz) == {1980.0, 1200.0}
    assert list(reading.sm_clocks_mhz) == sorted(reading.sm_clocks_mhz, reverse=True)


def test_a_sample_too_short_to_be_caught_has_its_neighbours_clock() -> None:
    gpu = SimulatedGpu(question_us=500.0)
    reading = read(gpu, 10.0)
    assert reading.sm_clocks_mhz == (1980.0,) * len(reading.samples_us)


def test_a_driver_that_tells_no_clock_leaves_none() -> None:
    gpu = SimulatedGpu()
    gpu.sm_clock = lambda now_us: None
    assert read(gpu, 10.0).sm_clocks_mhz == ()


def test_long_samples_are_not_watched_more_often_than_needed() -> None:
    looks = []
    gpu = SimulatedGpu(sm_clock=lambda now_us: looks.append(now_us) or 1980.0)
    read(gpu, 100_000.0)
    assert len(looks) < 6_000


def test_there_is_no_third_state_of_the_cache() -> None:
    with pytest.raises(UsageError, match="warm or cold"):
        read(SimulatedGpu(), 10.0, "tepid")
