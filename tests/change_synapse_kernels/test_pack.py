"""Weights and tables are laid out as the kernels read them, and a layer is cut so that the GPU is full."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.change.synapses.kernels.geometry import Layer
from headroom.change.synapses.kernels.pack import Packed, pack, usable_vectors
from headroom.change.synapses.kernels.variants import TILES, Arithmetic, Gather, gemv_for, kernel_of
from headroom.errors import UsageError


def unpacked(packed: Packed, shape: tuple[int, int, int]) -> np.ndarray:
    """(outputs, channels x r x s) without dilation, from table and weights."""
    channels, r, s = shape
    dense = np.zeros((packed.outputs, channels, r, s), np.float64)
    flat = packed.weight.swapaxes(0, 1).reshape(packed.weight.shape[1], -1)
    for entry, start in enumerate(packed.table):
        channel, row, column = int(start & 0xFFFF), int(start >> 16 & 0xFF), int(start >> 24)
        part = flat[: packed.outputs, entry * packed.vector : (entry + 1) * packed.vector]
        dense[:, channel : channel + packed.vector, row, column] += part
    return dense.reshape(packed.outputs, -1)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.sampled_from([1, 3, 4, 8, 24, 40]), st.integers(1, 3), st.integers(1, 3)),
    outputs=st.integers(1, 140),
    share=st.floats(0.01, 1),
    arithmetic=st.sampled_from(Arithmetic),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_weight_lies_where_its_table_entry_points(shape, outputs, share, arithmetic, seed) -> None:
    random = np.random.default_rng(seed)
    count = int(np.prod(shape))
    retained = random.permutation(count)[: max(1, int(share * count))]
    weight = random.integers(-8, 9, (outputs, len(retained))).astype(np.float32)
    for vector in usable_vectors(arithmetic, shape[0]):
        packed = pack(weight, retained, shape, arithmetic, vector)
        if arithmetic is Arithmetic.BF16:
            packed = Packed(arithmetic, packed.table, _floats(packed.weight), outputs, vector, packed.columns)
        dense = unpacked(packed, shape)
        assert np.array_equal(dense[:, retained], weight)
        assert np.count_nonzero(np.delete(dense, retained, axis=1)) == 0
        assert packed.weight.shape[1] % max(tile.n for tile in TILES) == 0


def _floats(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def test_neighbouring_channels_of_one_place_follow_each_other() -> None:
    """What a warp loads at once then lies in one piece of memory, in whatever order the layer came."""
    retained = np.random.default_rng(0).permutation(64 * 9)
    table = pack(np.ones((1, 576), np.float32), retained, (64, 3, 3), Arithmetic.BF16, 8).table.astype(int)
    places, channels = table >> 16, table & 0xFFFF
    assert np.array_equal(channels.reshape(9, 8), np.tile(np.arange(0, 64, 8), (9, 1)))
    assert (places.reshape(9, 8) == places[::8, None]).all()


def test_runs_of_channels_cost_nothing_and_single_ones_do() -> None:
    runs, single = np.arange(64 * 9).reshape(64, 9)[:32].ravel(), np.arange(0, 576, 2)
    weight = np.ones((1, 288), np.float32)
    assert pack(weight, runs, (64, 3, 3), Arithmetic.BF16, 8).computed_share == 1
    assert pack(weight, single, (64, 3, 3), Arithmetic.BF16, 8).computed_share == 2
    assert pack(weight, single, (64, 3, 3), Arithmetic.BF16, 1).computed_share == 1


def test_what_does_not_fit_a_table_is_refused() -> None:
    one, first = np.ones((1, 1), np.float32), np.zeros(1, np.intp)
    with pytest.raises(UsageError, match="3 channels have no bf16 table of 8"):
        pack(one, first, (3, 3, 3), Arithmetic.BF16, 8)
    with pytest.raises(UsageError, match="more than a table numbers"):
        pack(one, first, (2**17, 1, 1), Arithmetic.FP32, 4)
    with pytest.raises(UsageError, match="more than a table numbers"):
        pack(one, first, (4, 3, 3), Arithmetic.FP32, 4, (200, 200))
    with pytest.raises(UsageError, match="more than the kernels index"):
        Layer(2**12, 2**10, (64, 64), 64)
    with pytest.raises(UsageError, match="does not fit"):
        Layer(1, 1, (2, 2), 1, (3, 3))


def test_k_is_cut_only_where_tiles_leave_sms_idle() -> None:
    variant = Gather(Arithmetic.BF16, TILES[3], 8)
    linear = Layer(32, 25088, (1, 1), 4096)
    assert linear.grid(variant) == (1, 32, 1)
    assert linear.parts(variant, 392, 132) == 5
    assert Layer(32, 64, (1, 1), 4096).parts(variant, 2, 132) == 1, "too few steps to share"
    assert Layer(128, 64, (56, 56), 128).parts(variant, 18, 132) == 1


def test_kernels_are_found_by_their_keys() -> None:
    assert kernel_of("bf16 128x64 8", 1) == Gather(Arithmetic.BF16, TILES[1], 8)
    assert kernel_of("tf32 rows", 3) == gemv_for(Arithmetic.TF32, 4)
    with pytest.raises(UsageError, match="there is no kernel 'bf16 1x1 8'; take one of fp32 128x128 1"):
        kernel_of("bf16 1x1 8", 1)
    with pytest.raises(UsageError, match="9 rows are too many"):
        kernel_of("fp32 rows", 9)
