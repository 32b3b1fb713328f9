"""Section IV, equation by equation, with figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.predict.delta import PAPER, PAPER_TILES, ConvBatch, Reading, TileBatch
from headroom.predict.delta import traffic as t

PASCAL, VOLTA = 128.0, 32.0
WIDE, MIDDLE, NARROW = (128, 128, 8), (128, 64, 4), (128, 32, 4)


def _one(tile: tuple[int, int, int] = WIDE, **dims: int) -> tuple[ConvBatch, TileBatch, t.Grid]:
    convs = ConvBatch.build(**{"n": 256, "r": 1, "s": 1, **dims})
    tiles = TileBatch.constant(1, tile)
    return convs, tiles, t.grid(convs, tiles)


THREE_BY_THREE = {"c": 256, "h": 13, "w": 13, "k": 128, "r": 3, "s": 3, "pad_h": 1, "pad_w": 1}
POINTWISE = {"c": 256, "h": 14, "w": 14, "k": 128}


def test_equation_2_of_figure_5_requests_six_elements_for_each_four() -> None:
    convs, _, _ = _one(c=1, h=4, w=4, k=1, r=3, s=3, pad_h=1, pad_w=1)

    assert t.requested_per_used(convs)[0] == 6 / 4


def test_equation_2_counts_the_stride_through_the_real_output_width() -> None:
    convs, _, _ = _one(c=3, h=227, w=227, k=96, r=11, s=11, stride_h=4, stride_w=4)

    # The printed (227 x 4) / (227 - 11 + 1) is 4.18; there are 55 outputs in a row, not 54.25.
    assert t.requested_per_used(convs)[0] == 227 / 55


@pytest.mark.parametrize(
    ("dims", "line_bytes", "reading", "wanted"),
    [
        (THREE_BY_THREE, PASCAL, PAPER, 2.0),  # 1.15 lines wanted, 2 touched
        (THREE_BY_THREE, VOLTA, PAPER, 5 / 4),  # 4.6 sectors wanted, 5 touched
        (POINTWISE, PASCAL, PAPER, 2.0),  # one line that starts anywhere lies in two
        (POINTWISE, VOLTA, PAPER, 5 / 4),
        (POINTWISE, PASCAL, Reading(unaligned_requests=False), 1.0),
    ],
)
def test_equation_3_counts_requests_per_request_needed(
    dims: dict[str, int], line_bytes: float, reading: Reading, wanted: float
) -> None:
    convs, _, _ = _one(**dims)

    assert t.input_inefficiency(convs, line_bytes, reading)[0] == wanted


def test_the_first_layer_of_alexnet_makes_five_requests_for_one() -> None:
    convs, _, _ = _one(c=3, h=227, w=227, k=96, r=11, s=11, stride_h=4, stride_w=4)

    assert t.input_inefficiency(convs, PASCAL)[0] == 5.0


@pytest.mark.parametrize(("tile", "wanted"), [(WIDE, 2.0), (MIDDLE, 2.75), (NARROW, 2.75)])
def test_the_filters_have_the_inefficiency_that_the_paper_states(tile: tuple[int, int, int], wanted: float) -> None:
    convs, tiles, _ = _one(tile, **THREE_BY_THREE)

    assert t.filter_inefficiency(convs, tiles)[0] == wanted


def test_the_stated_2_75_is_the_mean_number_of_sectors_that_a_run_of_four_touches() -> None:
    sectors = [(start + 4 - 1) // 8 + 1 for start in range(8)]

    assert np.mean(sectors) / (4 / 8) == 2.75


def test_equation_4_loads_both_tiles_for_every_cta_and_iteration() -> None:
    convs, tiles, cut = _one(**THREE_BY_THREE)
    moved = t.traffic(convs, tiles, cut, PASCAL)

    assert moved.l1_per_iteration[0] == (128 * 8 * 2 + 128 * 8 * 2) * 4
    assert moved.l1_bytes[0] == moved.l1_per_iteration[0] * cut.ctas[0] * cut.iterations[0]


def test_equations_5_to_8_of_the_appendix_s_layer() -> None:
    convs, _, cut = _one(**THREE_BY_THREE)

    vertical, edges = 128 * 15 / 13, 7 / 3
    assert t.vertical_distance(convs, cut)[0] == pytest.approx(vertical)
    assert t.mean_vertical_distance(convs, cut)[0] == pytest.approx(vertical * 8 / 9)
    assert t.mean_vertical_distance(convs, cut, Reading(reuse_across_iterations=False))[0] == pytest.approx(vertical)
    horizontal = edges * (15 - 3 + 1) + (7 - edges)
    assert t.horizontal_distance(convs, cut)[0] == pytest.approx(horizontal)
    assert t.mean_horizontal_distance(convs, cut)[0] == pytest.approx(horizontal * (1 + 128 / 169))


def test_equation_7_as_printed_and_as_read_agree_where_a_tile_meets_at_most_one_edge() -> None:
    convs, _, cut = _one(MIDDLE, c=64, h=56, w=56, k=64, r=5, s=5, pad_h=2, pad_w=2)

    edge = (4 - 1) / 5
    # Padded width in the first bracket, as the text has it.
    printed = edge * ((60 - 5 + 1) + (5 - 4 + 1)) + (5 - 4 + 1) / 5 * (4 - 1)
    assert t.horizontal_distance(convs, cut)[0] == pytest.approx(printed, abs=2)


def test_equation_7_gives_no_negative_distance_where_the_printed_one_does() -> None:
    convs, _, cut = _one(c=256, h=7, w=7, k=128, r=3, s=3, pad_h=1, pad_w=1)

    printed = 7 / 3 * ((7 - 3 + 1) + (3 - 8 + 1)) + (3 - 8 + 1) / 3 * 7
    assert printed < 0 < t.horizontal_distance(convs, cut)[0]


def test_all_elements_of_a_pointwise_tile_are_unique() -> None:
    convs, tiles, cut = _one(**POINTWISE)

    assert t.l2_input_elements(convs, cut, PASCAL)[0] == 128 * 8
    assert t.traffic(convs, tiles, cut, PASCAL).l2_per_iteration[0] == (128 * 8 + 128 * 8) * 4


def test_a_pointwise_layer_in_a_wide_tile_has_the_stated_largest_miss_rate() -> None:
    convs, tiles, cut = _one(**POINTWISE)

    assert t.traffic(convs, tiles, cut, PASCAL).l1_miss_rate[0] == 0.5


def test_filters_that_a_tile_does_not_have_are_not_loaded() -> None:
    convs, tiles, cut = _one(NARROW, c=480, h=14, w=14, k=16)

    assert t.traffic(convs, tiles, cut, PASCAL).l2_per_iteration[0] == (128 * 4 + 16 * 4) * 4


def test_equation_10_reads_the_input_once_per_column_of_ctas_and_the_filters_once() -> None:
    one, two = (_one(c=256, h=13, w=13, k=k, r=3, s=3, pad_h=1, pad_w=1) for k in (128, 256))

    assert t.dram_input_elements(one[0], one[2])[0] == 256 * 15 * 15 * 256
    assert t.dram_input_elements(two[0], two[2])[0] == 2 * 256 * 15 * 15 * 256
    assert t.dram_filter_elements(two[0], two[2])[0] == 256 * 9 * 256


def test_the_physical_reading_of_equation_10_loads_no_zeros() -> None:
    convs, _, cut = _one(**THREE_BY_THREE)

    assert t.dram_input_elements(convs, cut, Reading(padded_input=False))[0] == 256 * 13 * 13 * 256


def test_a_strided_pointwise_layer_leaves_out_what_it_steps_over() -> None:
    convs, _, cut = _one(c=256, h=56, w=56, k=128, stride_h=2, stride_w=2)

    assert t.dram_input_elements(convs, cut)[0] == 256 * 28 * 28 * 256


def test_a_strided_3x3_layer_reads_its_whole_input() -> None:
    convs, _, cut = _one(c=128, h=56, w=56, k=128, r=3, s=3, stride_h=2, stride_w=2, pad_h=1, pad_w=1)

    assert t.dram_input_elements(convs, cut)[0] == 256 * 58 * 58 * 128


def test_groups_are_gemms_of_their_own() -> None:
    whole, _, _ = _one(c=96, h=27, w=27, k=256, r=5, s=5, pad_h=2, pad_w=2)
    split, tiles, cut = _one(c=96, h=27, w=27, k=256, r=5, s=5, pad_h=2, pad_w=2, groups=2)

    assert cut.ctas[0] == 2 * 1458
    assert split.gemm_k[0] == whole.gemm_k[0] / 2
    assert t.dram_filter_elements(split, cut)[0] == 48 * 25 * 256
    assert t.dram_input_elements(split, cut)[0] == 256 * 31 * 31 * 96
    assert tiles.n[0] == 128


sizes = st.integers(1, 600)


@given(
    n=st.integers(1, 64), c=sizes, h=st.integers(8, 230), w=st.integers(8, 230), k=sizes, r=st.integers(1, 7),
    s=st.integers(1, 7), stride=st.integers(1, 4), dilation=st.integers(1, 2), size=st.sampled_from([1, 2, 4]),
    line_bytes=st.sampled_from([PASCAL, VOLTA]),
)  # fmt: skip
def test_each_level_moves_something_and_l2_no_more_than_l1(
    n: int, c: int, h: int, w: int, k: int, r: int, s: int, stride: int, dilation: int, size: int, line_bytes: float
) -> None:
    convs = ConvBatch.build(
        n=n, c=c, h=h, w=w, k=k, r=r, s=s, stride_h=stride, stride_w=stride, pad_h=r // 2, pad_w=s // 2,
        dilation_h=dilation, dilation_w=dilation, bytes_per_element=size,
    )  # fmt: skip
    tiles = PAPER_TILES.choose(convs.gemm_n)
    moved = t.traffic(convs, tiles, t.grid(convs, tiles), line_bytes)

    assert 0 < moved.l2_bytes[0] <= moved.l1_bytes[0] * (1 + 1e-12)
    assert moved.dram_bytes[0] > 0
    assert np.isfinite([moved.l1_bytes[0], moved.l2_bytes[0], moved.dram_bytes[0]]).all()
