"""Removing what can be made up for best loses least, step by step."""

from __future__ import annotations

import numpy as np
import pytest

from headroom.change.synapses import VectorCorrelation, flat, least_damage, output_error, search_count, solve
from headroom.change.synapses.damage import least_damage_all
from headroom.errors import UsageError


def layer(vectors: int, places: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights, and inputs that share a few causes."""
    random = np.random.default_rng(seed)
    causes = random.standard_normal((400, 5, places))
    inputs = np.einsum("ncp,ck->nkp", causes, random.standard_normal((5, vectors)))
    inputs += 0.5 * random.standard_normal(inputs.shape)
    return random.standard_normal((6, vectors, places)), inputs


@pytest.mark.parametrize("places", [1, 4])
def test_each_step_removes_the_vector_without_which_the_solved_layer_errs_least(places):
    weight, inputs = layer(9, places, seed=1)
    retained = np.arange(9)
    for count in (8, 7, 6):
        tried = [np.delete(retained, place) for place in range(len(retained))]
        errors = [output_error(weight, solve(weight, left, inputs, ridge=1e-9), inputs) for left in tried]
        retained = tried[int(np.argmin(errors))]

        assert least_damage(weight, inputs, count, ridge=1e-9).retained.tolist() == retained.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_it_loses_less_than_the_search_by_correlation(seed):
    weight, inputs = layer(40, 1, seed)
    found, searched = least_damage(weight, inputs, 20), search_count(VectorCorrelation(flat(inputs)), 20)

    errors = [output_error(weight, solve(weight, each.retained, inputs), inputs) for each in (found, searched)]

    assert errors[0] < errors[1]


def test_inputs_that_mix_others_and_weights_that_are_zero_go_first():
    weight, inputs = layer(10, 1, seed=3)
    weight[:, 4] = 0
    inputs[:, 7] = inputs[:, 0] + inputs[:, 1]

    gone = set(range(10)) - set(least_damage(weight, inputs, 8, ridge=1e-9).retained.tolist())

    assert 4 in gone
    assert gone & {0, 1, 7}


def test_whoever_goes_is_represented_by_the_most_similar_input():
    weight, inputs = layer(12, 1, seed=4)
    found = least_damage(weight, inputs, 5)
    exact = np.corrcoef(inputs[:, :, 0].T)

    assert len(found.retained) == 5
    assert set(found.representative) <= set(found.retained)
    assert all(
        exact[index, found.representative[index]] == pytest.approx(exact[index, found.retained].max(), abs=1e-5)
        for index in found.removed
    )


def test_inputs_that_never_change_can_go():
    weight, inputs = layer(6, 1, seed=5)

    assert len(least_damage(weight, np.ones_like(inputs), 2).retained) == 2


@pytest.mark.parametrize("count", [0, 10])
def test_a_count_that_cannot_be_is_refused(count):
    with pytest.raises(UsageError, match="cannot stay"):
        least_damage(*layer(9, 1, seed=6), count)
    with pytest.raises(UsageError, match="cannot stay"):
        least_damage(layer(8, 1, seed=6)[0], layer(9, 1, seed=6)[1], 3)


def test_several_counts_are_those_of_one_descent():
    random = np.random.default_rng(4)
    weight, inputs = random.standard_normal((5, 12, 2)), random.standard_normal((200, 12, 2))

    found = least_damage_all(weight, inputs, [3, 9, 6])

    for count, each in zip([3, 9, 6], found, strict=True):
        assert (each.retained == least_damage(weight, inputs, count).retained).all()
        assert len(each.retained) == count
    assert set(found[0].retained) < set(found[2].retained) < set(found[1].retained)
    assert least_damage_all(weight, inputs, []) == []
