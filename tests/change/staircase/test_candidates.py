"""The widths worth having, by equation 4 and by what no wider layer beats; and the paper's model of the curve."""

from __future__ import annotations

from dataclasses import replace

import pytest

from change.staircase.curves import RECORDED_US, noisy, predicted, staircase, stairs
from headroom.change.widths.staircase.candidates import candidates, dominating, efficiencies
from headroom.change.widths.staircase.curve import Staircase
from headroom.change.widths.staircase.reading import read
from headroom.change.widths.staircase.steps import find_intervals
from headroom.change.widths.staircase.wave_model import fit_wave_model
from headroom.graph.tensor import DataType
from headroom.predict.prediction import Source

WIDTHS = range(64, 513, 8)


def _widths(points: object) -> list[int]:
    return [point.width for point in points]  # type: ignore[attr-defined]


def test_candidates_are_the_right_edges_of_the_steps() -> None:
    curve = staircase(stairs(WIDTHS, {128: 1.3, 256: 1.4, 400: 1.1}))
    assert _widths(candidates(curve, find_intervals(curve))) == [128, 256, 400, 512]


def test_utilisation_decides_between_widths_of_equal_throughput() -> None:
    """Equation 4: the product counts."""
    points = staircase({64: 10.0, 128: 20.0}).points
    assert efficiencies(points)[0] == efficiencies(points)[1]
    curve = Staircase(
        "layer", "out", 512, tuple(replace(p, utilisation=u) for p, u in zip(points, (0.9, 0.5), strict=True))
    )
    flat = find_intervals(staircase({64: 10.0, 128: 10.0}))
    assert _widths(candidates(curve, flat)) == [64]


def test_utilisations_of_kernels_and_of_the_theory_are_not_compared() -> None:
    measured, guessed = staircase({64: 10.0, 128: 10.0}).points
    mixed = (replace(measured, utilisation=0.9), replace(guessed, utilisation=0.1, source=Source.INTERPOLATED))
    assert efficiencies(mixed) == [point.tflops for point in mixed]


def test_the_m_best_candidates_are_those_with_the_largest_product() -> None:
    curve = staircase(stairs(WIDTHS, {128: 1.1, 256: 3.0, 400: 1.1}))
    assert _widths(candidates(curve, find_intervals(curve), most=2)) == [256, 512]


def test_no_wider_layer_beats_a_dominating_width() -> None:
    kept = dominating(staircase(RECORDED_US).points, tolerance_pct=1.0)
    assert _widths(kept) == [128, 256, 384, 480, 512]


@pytest.mark.parametrize("tolerance_pct", [0.0, 1.0, 5.0])
def test_every_width_has_a_dominating_one_that_is_no_narrower_and_hardly_slower(tolerance_pct: float) -> None:
    points = staircase(noisy(RECORDED_US, 2.0, 1)).points
    kept = dominating(points, tolerance_pct)
    for point in points:
        best = min(other.latency_us for other in kept if other.width >= point.width)
        assert best * (1 - tolerance_pct / 100) <= point.latency_us


def test_the_widest_layer_always_dominates() -> None:
    assert _widths(dominating(staircase({64: 1.0, 128: 1.0}).points)) == [128]


@pytest.mark.parametrize("wave_width", [80.0, 128.0, 53.0])
def test_equation_3_is_fitted_to_curves_that_follow_it(wave_width: float) -> None:
    curve = {w: 7.0 * -(-w // wave_width) for w in range(16, 513, 4)}
    model = fit_wave_model(staircase(curve))
    assert model.cycle_us == pytest.approx(7.0)
    assert model.residual_pct == pytest.approx(0.0, abs=1e-9)
    assert all(model.latency_us(width) == pytest.approx(time) for width, time in curve.items())
    assert abs(model.wave_width - wave_width) <= 4


def test_a_constant_is_only_fitted_where_it_is_asked_for() -> None:
    curve = staircase({w: 11.0 + 7.0 * -(-w // 96) for w in range(16, 513, 8)})
    paper, ours = fit_wave_model(curve), fit_wave_model(curve, overhead=True)
    assert paper.overhead_us == 0
    assert paper.residual_pct > 5
    assert (ours.overhead_us, ours.cycle_us, ours.wave_width) == (pytest.approx(11.0), pytest.approx(7.0), 96.0)
    assert ours.residual_pct == pytest.approx(0.0, abs=1e-9)


def test_the_residual_says_how_far_the_paper_s_model_is_from_today_s_kernels() -> None:
    reading = read(staircase(RECORDED_US, noise_pct=1.5))
    assert reading.model.residual_pct > 10
    assert reading.model.worst_pct > reading.model.residual_pct


def test_strict_fp32_follows_equation_3_with_a_constant() -> None:
    """One wave per 32 filters or so on an H200, the tile's width; a step is cut where another kernel is faster."""
    model = fit_wave_model(predicted("c=512,h=64,w=64,k=64:512", dtype=DataType.FP32), overhead=True)
    assert model.wave_width == pytest.approx(32, rel=0.03)
    assert model.residual_pct < 3


def test_a_single_width_has_a_model_too() -> None:
    model = fit_wave_model(staircase({64: 5.0}))
    assert model.latency_us(64) == pytest.approx(5.0)
