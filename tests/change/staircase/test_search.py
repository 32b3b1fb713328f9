"""A quarter of the measurements finds the widths worth having."""

from __future__ import annotations

import numpy as np
import pytest

from change.staircase.curves import noisy, predicted, staircase, stairs, stopwatch
from headroom.change.widths.staircase.interpolate import interpolated
from headroom.change.widths.staircase.search import chosen, regret_pct, search
from headroom.predict.prediction import Source

WIDTHS = range(64, 513, 4)

LAYERS = (
    "c=512,h=64,w=64,k=64:512", "c=256,h=56,w=56,k=64:512", "c=64,h=56,w=56,k=64:512,n=32",
    "c=128,h=28,w=28,k=64:512,n=32", "c=64,h=32,w=32,k=64:512,n=128", "c=512,h=14,w=14,k=64:512,n=8",
    "c=256,h=56,w=56,k=64:512,n=32,r=1,s=1", "c=1024,h=14,w=14,k=64:512,n=32,r=1,s=1",
    "c=96,h=112,w=112,k=64:512,n=4,r=5,s=5",
    "c=512,h=14,w=14,k=64:512,r=1,s=1",
)  # fmt: skip


@pytest.mark.parametrize("conv", LAYERS)
def test_a_quarter_of_the_measurements_has_at_most_one_percent_regret(conv: str) -> None:
    """The prediction is off by a factor and bends by 15 % across the widths; the stopwatch has 1 % of noise."""
    theory = predicted(conv)
    bend = np.exp(0.15 * np.sin(np.linspace(0.5, 5.0, len(theory.points))))
    truth = {p.width: 1.3 * p.latency_us * float(b) for p, b in zip(theory.points, bend, strict=True)}
    found = search(theory, stopwatch(truth, 1.0, seed=1))
    assert found.share <= 0.25
    assert regret_pct(found.staircase, list(truth.values())).mean() <= 1.0


@pytest.mark.parametrize("seed", range(8))
def test_steps_that_the_prediction_does_not_know_are_found_by_halving(seed: int) -> None:
    random = np.random.default_rng(seed)
    edges = random.choice(np.arange(80, 500), 5, replace=False)
    truth = stairs(
        WIDTHS, {int(edge): float(factor) for edge, factor in zip(edges, random.uniform(1.06, 1.6, 5), strict=True)}
    )
    theory = staircase({w: 30.0 * (w / 64) ** 0.7 for w in WIDTHS}, source=Source.PREDICTED)
    found = search(theory, stopwatch(truth, 1.0, seed))
    assert found.share <= 0.25
    assert regret_pct(found.staircase, list(truth.values())).mean() <= 1.0


def test_a_dip_at_a_tile_s_multiple_is_found_although_nothing_predicts_it() -> None:
    truth = {**stairs(WIDTHS, {128: 1.4}), **dict.fromkeys(range(196, 257, 4), 22.0)}
    theory = staircase(stairs(WIDTHS, {128: 1.4}), source=Source.PREDICTED)
    found = search(theory, stopwatch(truth, 0.5, 1))
    assert truth[found.staircase.points[chosen(found.staircase)[WIDTHS.index(160)]].width] == 22.0


def test_a_flat_curve_needs_few_measurements() -> None:
    truth = dict.fromkeys(WIDTHS, 20.0)
    found = search(staircase(stairs(WIDTHS, {}), source=Source.PREDICTED), stopwatch(truth, 0.0, 1))
    assert found.share < 0.15


def test_no_width_is_measured_twice_and_none_outside_the_range() -> None:
    theory = predicted(LAYERS[0])
    truth = {point.width: point.latency_us for point in theory.points}
    measured = search(theory, stopwatch(truth, 2.0, 1), budget_share=1.0).measured
    assert len(set(measured)) == len(measured)
    assert set(measured) <= set(truth)


def test_widths_without_a_time_that_counts_are_passed_over() -> None:
    theory = predicted(LAYERS[0])
    truth = {point.width: point.latency_us for point in theory.points}
    watch = stopwatch(truth, 0.5, 1)
    found = search(theory, lambda width: None if width % 64 == 0 else watch(width))
    assert found.share <= 0.25
    assert found.staircase.at(128).source is Source.INTERPOLATED
    nothing = search(theory, lambda width: None)
    assert nothing.staircase == theory
    assert nothing.share <= 0.25


def test_measured_points_stay_as_they_were_measured_and_the_rest_is_interpolated() -> None:
    theory = predicted(LAYERS[1])
    truth = noisy({point.width: 2.0 * point.latency_us for point in theory.points}, 1.0, 3)
    found = search(theory, stopwatch(truth, 0.0, 1))
    by_source = {source: {p.width for p in found.staircase.points if p.source is source} for source in Source}
    assert by_source[Source.MEASURED] == set(found.measured)
    assert by_source[Source.PREDICTED] == set()
    assert all(found.staircase.at(width).latency_us == pytest.approx(truth[width]) for width in found.measured)


def test_an_interpolated_curve_has_the_prediction_s_shape_at_the_measured_scale() -> None:
    theory = staircase(stairs(WIDTHS, {256: 1.5}), source=Source.PREDICTED)
    measured = staircase({64: 40.0, 512: 60.0})
    curve = interpolated(theory, {point.width: point for point in measured.points})
    assert curve.at(256).latency_us == pytest.approx(40.0)
    assert curve.at(260).latency_us == pytest.approx(60.0)


def test_a_step_that_lies_elsewhere_than_predicted_does_not_count_twice() -> None:
    theory = staircase(stairs(WIDTHS, {256: 1.5}), source=Source.PREDICTED)
    measured = staircase({64: 20.0, 252: 30.0, 512: 30.0})
    curve = interpolated(theory, {point.width: point for point in measured.points})
    assert max(point.latency_us for point in curve.points) == pytest.approx(30.0)


def test_what_was_not_measured_is_taken_only_where_it_is_clearly_better() -> None:
    points = staircase({64: 20.0, 128: 20.0, 192: 30.0}).points
    assumed = [p if p.width != 64 else type(p)(64, 19.9, p.flops, Source.INTERPOLATED) for p in points]
    curve = type(staircase({1: 1.0}))("layer", "out", 512, tuple(assumed))
    assert chosen(curve) == [1, 1, 2]
