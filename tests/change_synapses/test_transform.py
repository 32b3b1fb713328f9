"""What a layer's outputs become when synapse vectors are cut, scaled, folded or solved for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.change.synapses import (
    Grain,
    Selection,
    Transform,
    VectorCorrelation,
    by_vector,
    flat,
    fold,
    output_error,
    reorder,
    scale,
    search,
    solve,
    transformed,
    truncate,
)
from headroom.errors import UsageError


def selected(representative: list[int], correlation: list[float] | None = None) -> Selection:
    who = np.array(representative)
    retained = np.flatnonzero(who == np.arange(len(who)))
    return Selection(0.5, retained, who, np.array(correlation or [1.0] * len(who)))


def layer(outputs: int = 6, vectors: int = 8, places: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((outputs, vectors, places))


def sample(rows: int, vectors: int, seed: int, rank: int = 5, places: int = 1) -> np.ndarray:
    """Inputs that share a few causes, never negative, as behind a ReLU."""
    mixing = np.random.default_rng(99).standard_normal((rank, vectors))
    causes = np.random.default_rng(seed).standard_normal((rows, places, rank))
    noise = np.random.default_rng(seed + 1).standard_normal((rows, places, vectors))
    return np.maximum(causes @ mixing + 0.3 * noise + 0.5, 0).swapaxes(1, 2)


@given(st.integers(1, 80), st.data())
def test_swapping_misplaced_pairs_brings_the_retained_to_the_front(count, data):
    retained = np.array(sorted(data.draw(st.sets(st.integers(0, count - 1)))), np.intp)

    found = reorder(retained, count)

    swapped = np.arange(count)
    for left, right in found.swaps:
        swapped[[left, right]] = swapped[[right, left]]
    assert (swapped == found.order).all()
    assert set(found.retained) == set(retained)
    assert len(found.swaps) == np.count_nonzero(retained >= len(retained))


def test_reordering_changes_no_output():
    weight, inputs = layer()[:, :, 0], np.random.default_rng(1).standard_normal((8, 5))
    order = reorder(np.array([1, 4, 6, 7]), 8).order

    assert np.allclose(weight[:, order] @ inputs[order], weight @ inputs)


@pytest.mark.parametrize("retained", [[0, 0], [-1], [8]])
def test_indices_that_are_none_are_refused(retained):
    with pytest.raises(UsageError, match="distinct indices below 8"):
        reorder(np.array(retained), 8)


@pytest.mark.parametrize("places", [1, 9])
def test_cutting_is_the_dense_layer_with_zeroed_weights(places):
    weight, inputs = layer(places=places), sample(20, 8, seed=1, places=places)
    zeroed = weight.copy()
    zeroed[:, [1, 5]] = 0

    reduced = truncate(weight, np.array([0, 2, 3, 4, 6, 7]))

    assert output_error(zeroed, reduced, inputs) < 1e-12


def test_scaling_is_exact_where_all_synapses_are_alike():
    weight, inputs = np.tile(layer(vectors=1), (1, 8, 1)), np.tile(sample(20, 1, seed=2), (1, 8, 1))

    assert output_error(weight, scale(weight, np.array([0, 3])), inputs) < 1e-12
    assert output_error(weight, truncate(weight, np.array([0, 3])), inputs) == pytest.approx(0.75)


def test_dead_vectors_are_not_scaled_up_for():
    weight = layer()
    weight[:, [2, 5]] = 0

    reduced = transformed(Transform.SCALE, weight, selected([0, 1, -1, 3, 4, -1, 6, 7]))

    assert output_error(weight, reduced, sample(20, 8, seed=3)) < 1e-12


def test_nothing_can_be_scaled_when_nothing_stays():
    with pytest.raises(UsageError, match="keep one at least"):
        scale(layer(), np.array([], np.intp))


@pytest.mark.parametrize("places", [1, 4])
def test_folding_is_exact_where_inputs_follow_their_representative(places):
    weight, inputs = layer(places=places), sample(50, 8, seed=4, places=places)
    inputs[:, 1], inputs[:, 6] = 2 * inputs[:, 0] + 3, 0.5 * inputs[:, 7] - 1

    reduced = fold(weight, selected([0, 0, 2, 3, 4, 5, 7, 7]), inputs)

    assert output_error(weight, reduced, inputs) < 1e-10


def test_without_a_sample_the_search_s_correlation_is_the_factor():
    weight = layer()

    reduced = fold(weight, selected([0, 0, 2, 3, 4, 5, 6, 0], [1, 0.9, 1, 1, 1, 1, 1, 0.6]))

    assert np.allclose(reduced.weight[:, 0], weight[:, 0] + 0.9 * weight[:, 1] + 0.6 * weight[:, 7])
    assert np.allclose(reduced.weight[:, 1:], weight[:, 2:7])
    assert not reduced.shift.any()


def test_a_constant_representative_takes_the_mean_into_the_bias():
    weight, inputs = layer(vectors=2), sample(500, 2, seed=5)
    inputs[:, 0] = 4.0

    reduced = fold(weight, selected([0, 0]), inputs)

    assert np.allclose(reduced.weight[:, 0], weight[:, 0])
    assert np.allclose(reduced.shift, weight[:, 1, 0] * inputs[:, 1].mean())


@pytest.mark.parametrize("places", [1, 4])
def test_solving_is_exact_where_removed_inputs_are_mixtures_of_the_retained(places):
    weight, inputs = layer(places=places), sample(200, 8, seed=6, places=places)
    inputs[:, 5] = inputs[:, 0] - 2 * inputs[:, 1] + 1
    retained = np.array([0, 1, 2, 3, 4, 6, 7])

    assert output_error(weight, solve(weight, retained, inputs, ridge=1e-12), inputs) < 1e-6


def test_no_other_weights_come_closer_on_the_sample_than_the_solved_ones():
    weight, inputs = layer(vectors=12), sample(300, 12, seed=7)
    retained = np.arange(7)
    best = solve(weight, retained, inputs, ridge=1e-12)

    design = np.hstack([inputs[:, retained, 0], np.ones((300, 1))])
    expected = np.linalg.lstsq(design, inputs[:, :, 0] @ weight[:, :, 0].T, rcond=None)[0]

    assert np.allclose(best.weight[:, :, 0], expected[:-1].T, atol=1e-6)
    assert np.allclose(best.shift, expected[-1], atol=1e-6)


def test_a_sample_of_constants_corrects_the_bias_alone():
    weight, inputs = layer(), np.ones((10, 8, 1))

    reduced = solve(weight, np.arange(6), inputs)

    assert np.allclose(reduced.weight, weight[:, :6])
    assert np.allclose(reduced.shift, weight[:, 6:, 0].sum(1))


def test_on_held_out_inputs_solving_beats_folding_beats_scaling_beats_cutting():
    weight = np.abs(layer(16, 64, seed=8)) + layer(16, 64, seed=9)
    known, held_out = sample(2000, 64, seed=10), sample(500, 64, seed=20)
    selection = search(VectorCorrelation(flat(known)), 0.6)
    assert 10 < len(selection.retained) < 54

    errors = [
        output_error(weight, transformed(kind, weight, selection, known), held_out) for kind in reversed(Transform)
    ]

    assert errors == sorted(errors)


def test_solving_without_a_sample_is_refused():
    with pytest.raises(UsageError, match="sample"):
        transformed(Transform.SOLVE, layer(), selected(list(range(8))))


@pytest.mark.parametrize("kind", list(Transform))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_where_nothing_goes_nothing_changes(kind, dtype):
    weight, inputs = layer().astype(dtype), sample(20, 8, seed=11).astype(dtype)

    reduced = transformed(kind, weight, selected(list(range(8))), inputs)

    assert (reduced.weight == weight).all()
    assert reduced.weight.dtype == reduced.shift.dtype == dtype
    assert not reduced.shift.any()


def test_grains_are_views_of_the_weight():
    conv = np.arange(2 * 3 * 2 * 2.0).reshape(2, 3, 2, 2)

    assert by_vector(conv, Grain.COLUMN).shape == (2, 12, 1)
    assert by_vector(conv, Grain.CHANNEL).shape == (2, 3, 4)
    assert by_vector(conv[:, :, 0, 0], Grain.FEATURE).shape == (2, 3, 1)
    assert (flat(by_vector(conv, Grain.CHANNEL))[:, 1] == conv[:, 1].ravel()).all()
    with pytest.raises(UsageError, match="no column grain"):
        by_vector(conv[:, :, 0, 0], Grain.COLUMN)
