"""The synapse search decides as the paper does, whatever the blocks, and defines what the paper leaves open."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headroom.change.synapses import (
    ContributionCorrelation,
    VectorCorrelation,
    keep_at_least,
    round_up,
    search,
    search_all,
    search_count,
    search_counts,
)
from headroom.change.synapses.adjacency import adjacency, unpacked
from headroom.errors import ModelError, UsageError


def related(vectors: int, elements: int, seed: int, clusters: int = 12) -> np.ndarray:
    """Vectors around a few centres, so that some represent many and others nobody."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((elements, clusters))
    noise = random.standard_normal((elements, vectors)) * random.uniform(0.2, 2, vectors)
    return (centres[:, random.integers(0, clusters, vectors)] + noise).astype(np.float32)


def as_written(matrix: np.ndarray, alpha: float) -> np.ndarray:
    """Section 4.1.2 word by word, in float64 and with everything computed anew each time."""
    correlation = np.corrcoef(matrix.astype(np.float64).T)
    remaining, representative = set(range(matrix.shape[1])), np.full(matrix.shape[1], -1)
    while remaining:
        represents = {i: [j for j in remaining if i == j or correlation[i, j] >= alpha] for i in remaining}
        best = min(remaining, key=lambda i: (-len(represents[i]), i))
        representative[represents[best]] = best
        remaining -= set(represents[best])
    return representative


@given(st.integers(2, 60), st.integers(3, 40), st.integers(0, 10**6), st.floats(0.05, 0.99))
def test_the_search_decides_as_the_paper_is_written(vectors, elements, seed, alpha):
    matrix = related(vectors, elements, seed)
    apart = np.abs(np.corrcoef(matrix.astype(np.float64).T) - alpha)
    assume(apart.min() > 1e-5)

    found = search(VectorCorrelation(matrix), alpha)

    assert found.representative.tolist() == as_written(matrix, alpha).tolist()


@pytest.mark.parametrize("block", [8, 64, 136, 512])
def test_the_size_of_the_blocks_decides_nothing(block):
    correlation = VectorCorrelation(related(300, 50, seed=1))

    assert (adjacency(correlation, [0.4], block=block)[0] == adjacency(correlation, [0.4])[0]).all()


def test_all_thresholds_share_one_pass_and_give_what_each_alone_gives():
    correlation = VectorCorrelation(related(200, 50, seed=2))

    together = search_all(correlation, [0.9, 0.5, 0.2])

    assert [each.retained.tolist() for each in together] == [
        search(correlation, alpha).retained.tolist() for alpha in (0.9, 0.5, 0.2)
    ]
    assert len(together[0].retained) > len(together[1].retained) > len(together[2].retained)


def test_whoever_goes_is_correlated_with_the_one_who_stays_for_it():
    matrix = related(200, 50, seed=3)
    found = search(VectorCorrelation(matrix), 0.5)
    exact = np.corrcoef(matrix.astype(np.float64).T)

    assert set(found.representative) == set(found.retained)
    assert (found.correlation >= 0.5 - 2e-6).all()
    assert np.allclose(found.correlation, exact[np.arange(200), found.representative], atol=1e-5)


def test_memory_is_a_bit_per_pair_and_one_block():
    count, block = 4096, 256
    correlation = VectorCorrelation(related(count, 8, seed=4))
    tracemalloc.start()
    try:
        adjacency(correlation, [0.9], block=block)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < count**2 / 8 + 16 * block**2 + 500_000


def test_copies_represent_each_other_even_at_threshold_1():
    matrix = np.repeat(related(40, 30, seed=5), 3, axis=1) * np.tile([1, 0.1, 7], 40)

    assert len(search(VectorCorrelation(matrix), 1.0).retained) == 40


def test_of_equal_counts_the_first_is_retained():
    first = related(1, 30, seed=6)

    assert search(VectorCorrelation(np.repeat(first, 5, axis=1)), 0.5).retained.tolist() == [0]


def test_an_opposite_vector_is_not_represented():
    one = related(1, 30, seed=7)

    assert len(search(VectorCorrelation(np.hstack([one, -one])), 0.1).retained) == 2


def test_zero_vectors_go_without_a_representative_and_constant_ones_stay():
    matrix = related(4, 30, seed=8)
    matrix[:, 1], matrix[:, 2], matrix[:, 3] = 0, 5, 5

    found = search(VectorCorrelation(matrix), 0.1)

    assert found.retained.tolist() == [0, 2, 3]
    assert found.representative.tolist() == [0, -1, 2, 3]
    assert found.removed.tolist() == [1]
    assert found.represented.tolist() == []


def test_a_layer_of_zeros_keeps_nothing_and_one_output_keeps_all():
    assert len(search(VectorCorrelation(np.zeros((5, 7))), 0.5).retained) == 0
    assert len(search(VectorCorrelation(np.ones((1, 7))), 0.5).retained) == 7


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_with_its_place(value):
    matrix = related(9, 5, seed=9)
    matrix[3, 7] = value

    with pytest.raises(ModelError, match="synapse vector 7"):
        VectorCorrelation(matrix)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_the_size_of_the_weights_decides_nothing(size):
    matrix = related(50, 30, seed=10).astype(np.float64)

    found = search(VectorCorrelation((matrix * size).astype(np.float32)), 0.5)

    assert found.retained.tolist() == search(VectorCorrelation(matrix.astype(np.float32)), 0.5).retained.tolist()


@pytest.mark.parametrize("alpha", [0, -0.5, 1.1, float("nan")])
def test_a_threshold_that_means_nothing_is_refused(alpha):
    with pytest.raises(UsageError, match="threshold"):
        search(VectorCorrelation(related(5, 5, seed=0)), alpha)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (4,), (2, 3, 4)])
def test_what_is_no_matrix_of_vectors_is_refused(shape):
    with pytest.raises(UsageError, match="elements, K"):
        VectorCorrelation(np.ones(shape))


def test_contributions_correlate_as_their_outer_products_do():
    random = np.random.default_rng(11)
    weights, inputs = random.standard_normal((6, 12)) + 0.5, np.abs(random.standard_normal((9, 12)))
    weights[:, 4], inputs[:, 7] = 0, 0
    outer = np.einsum("mk,nk->kmn", weights, inputs).reshape(12, -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = np.nan_to_num(np.corrcoef(outer))

    correlation = ContributionCorrelation(weights, inputs)

    assert np.allclose(correlation.block(slice(0, 12), slice(0, 12)), expected, atol=1e-5)
    left, right = np.array([0, 3, 5]), np.array([1, 3, 2])
    assert np.allclose(correlation.pairs(left, right), expected[left, right], atol=1e-5)
    assert np.flatnonzero(correlation.dead).tolist() == [4, 7]


def test_weights_and_inputs_of_different_layers_are_refused():
    with pytest.raises(UsageError, match="5 weight vectors, 6 input vectors"):
        ContributionCorrelation(np.ones((3, 5)), np.ones((4, 6)))


@given(st.integers(0, 10**6), st.integers(1, 120))
def test_a_count_is_kept_exactly_where_it_can_be(seed, count):
    correlation = VectorCorrelation(related(120, 20, seed))

    found = search_count(correlation, count)

    assert len(found.retained) == count or (len(found.retained) > count and found.alpha < 0.001)
    assert len(found.retained) + len(found.removed) == 120


def test_those_represented_worst_come_back_first():
    found = search(VectorCorrelation(related(200, 50, seed=12)), 0.3)

    more = keep_at_least(found, len(found.retained) + 5)

    back = np.setdiff1d(more.retained, found.retained)
    still_gone = more.represented
    assert len(back) == 5
    assert found.correlation[back].max() <= found.correlation[still_gone].min()


def test_the_count_is_rounded_to_what_tiles_reward():
    found = search(VectorCorrelation(related(200, 50, seed=13)), 0.4)
    count = len(found.retained)

    assert len(round_up(found, 32).retained) == -(-count // 32) * 32
    assert len(round_up(found, [8, count - 1, count + 3, 200]).retained) == count + 3
    assert len(round_up(found, [8]).retained) == 200
    assert len(round_up(found, 1024).retained) == 200
    with pytest.raises(UsageError, match="multiple of 0"):
        round_up(found, 0)


def test_dead_vectors_come_back_last():
    matrix = related(20, 30, seed=14)
    matrix[:, :5] = 0
    found = search(VectorCorrelation(matrix), 0.001)

    assert not set(range(5)) & set(keep_at_least(found, 15).retained.tolist())
    assert len(keep_at_least(found, 20).retained) == 20
    with pytest.raises(UsageError, match="21 synapse vectors cannot stay of 20"):
        keep_at_least(found, 21)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_pytorch_tensors_give_what_arrays_give(dtype):
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(related(60, 40, seed=15)).to(getattr(torch, dtype)).requires_grad_()
    array = tensor.detach().float().numpy()

    expected = search(VectorCorrelation(array), 0.5).representative.tolist()

    assert search(VectorCorrelation(tensor), 0.5).representative.tolist() == expected
    assert search(VectorCorrelation(tensor, device="cpu"), 0.5).representative.tolist() == expected


def test_a_bit_of_the_adjacency_is_a_pair():
    correlation = VectorCorrelation(related(45, 30, seed=16))
    expected = correlation.block(slice(0, 45), slice(0, 45)) >= 0.3

    assert (unpacked(adjacency(correlation, [0.3], block=16)[0], 45) == expected).all()


def test_several_counts_at_once_are_found_as_well_as_one_by_one():
    random = np.random.default_rng(2)
    centres = np.repeat(random.standard_normal((64, 60)), 5, axis=1)
    weights = centres + 0.7 * random.standard_normal((64, 300))
    correlation = VectorCorrelation(weights.astype(np.float32))
    counts = [40, 90, 150, 240, 299]

    together = search_counts(correlation, counts)

    assert [len(found.retained) for found in together] == counts
    for count, found in zip(counts, together, strict=True):
        alone = search_count(correlation, count)
        removed = found.represented
        assert (found.correlation[removed] >= found.alpha - 1e-5).all()
        assert found.correlation[removed].mean() > alone.correlation[alone.represented].mean() - 0.05


def test_counts_that_nothing_reaches_give_the_least_that_can_stay():
    correlation = VectorCorrelation(np.eye(6, dtype=np.float32)[:, :5])
    (found,) = search_counts(correlation, [2])
    assert len(found.retained) == 5
