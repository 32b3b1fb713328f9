"""Steps are found where they are, on curves that are noisy and on curves that are not monotone."""

from __future__ import annotations

import pytest

from change.staircase.curves import RECORDED_US, noisy, predicted, staircase, stairs
from headroom.change.widths.staircase.curve import Staircase
from headroom.change.widths.staircase.steps import Trend, find_intervals, find_steps
from headroom.errors import UsageError
from headroom.graph.tensor import DataType

WIDTHS = range(64, 513, 8)
EDGES = {128: 1.3, 200: 1.1, 256: 1.4, 400: 1.08}


def _edges(curve: Staircase) -> list[int]:
    return [step.last for step in find_steps(find_intervals(curve))]


def test_every_step_is_found_where_it_is() -> None:
    assert _edges(staircase(stairs(WIDTHS, EDGES))) == list(EDGES)


@pytest.mark.parametrize("seed", range(10))
def test_noise_of_one_and_a_half_percent_neither_hides_a_step_nor_makes_one(seed: int) -> None:
    assert _edges(staircase(noisy(stairs(WIDTHS, EDGES), 1.5, seed), noise_pct=1.5)) == list(EDGES)


@pytest.mark.parametrize("seed", range(10))
def test_a_flat_curve_has_no_step_however_noisy(seed: int) -> None:
    curve = staircase(noisy(stairs(WIDTHS, {}), 3.0, seed), noise_pct=3.0)
    assert [interval.trend for interval in find_intervals(curve)] == [Trend.STEADY]


def test_a_width_that_is_faster_than_narrower_ones_is_a_step_down() -> None:
    """The recorded curve: 256 filters are faster than 160, and 448 faster than 416."""
    steps = find_steps(find_intervals(staircase(RECORDED_US, noise_pct=1.5)))
    assert [(step.last, step.first) for step in steps] == [(128, 160), (224, 256), (256, 288), (384, 416), (416, 448)]
    assert [step.rise_pct > 0 for step in steps] == [True, False, True, True, False]
    assert steps[2].rise_pct == pytest.approx(57, abs=1)


def test_a_growing_interval_is_one_interval_and_no_steps() -> None:
    intervals = find_intervals(staircase(noisy({w: 5 + 0.05 * w for w in WIDTHS}, 1.0, 3), noise_pct=1.0))
    assert [(each.trend, each.first, each.last) for each in intervals] == [(Trend.GROWING, 64, 512)]
    assert intervals[0].first_us == pytest.approx(8.2, rel=0.02)
    assert intervals[0].last_us == pytest.approx(30.6, rel=0.02)


def test_growing_steady_and_falling_intervals_are_told_apart() -> None:
    curve = {w: 10 + 0.05 * min(w, 192) - 0.03 * max(0, w - 352) for w in WIDTHS}
    intervals = find_intervals(staircase(curve, noise_pct=0.5), resolution_pct=0.5)
    assert [each.trend for each in intervals] == [Trend.GROWING, Trend.STEADY, Trend.FALLING]
    assert abs(intervals[0].last - 192) <= 16
    assert abs(intervals[1].last - 352) <= 16


def test_intervals_cover_every_point_once_and_in_order() -> None:
    curve = predicted("c=512,h=64,w=64,k=64:512")
    intervals = find_intervals(curve)
    assert sum(each.points for each in intervals) == len(curve.points)
    assert [each.first for each in intervals] == sorted(each.first for each in intervals)
    assert intervals[0].first == 64
    assert intervals[-1].last == 512


def test_a_depthwise_layer_grows_and_hardly_steps() -> None:
    """The paper's exception (Figure 11): its waves are short."""
    intervals = find_intervals(predicted("c=64:1024,k=64:1024,h=112,w=112,groups=c,n=8", dtype=DataType.FP32))
    longest = max(intervals, key=lambda each: each.last - each.first)
    assert longest.trend is Trend.GROWING
    assert longest.last - longest.first > 480


def test_differences_below_the_resolution_are_no_steps() -> None:
    assert _edges(staircase(stairs(WIDTHS, {256: 1.004}))) == []


def test_one_width_and_two_are_staircases_too() -> None:
    assert find_intervals(staircase({64: 5.0}))[0].points == 1
    assert _edges(staircase({64: 5.0, 128: 10.0})) == [64]


def test_points_out_of_order_are_refused() -> None:
    points = staircase({64: 5.0, 128: 6.0}).points
    with pytest.raises(UsageError, match="widths in order, each once"):
        Staircase("layer", "out", 512, points[::-1])
    with pytest.raises(UsageError, match="widths in order"):
        Staircase("layer", "out", 512, ())
