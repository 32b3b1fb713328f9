"""What CTAs on plain units cost beside their multiplications."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headroom.gpu.sheets import load_gpu
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.calibration import load_calibration
from headroom.predict.cta_costs import idle_us, step_us, torn_share
from headroom.predict.gemm_problems import Problems, Tiles
from headroom.predict.gemm_time import Estimate, estimate
from headroom.predict.tiles import given_depth

V100, P100 = load_gpu("v100-pcie-32gb"), load_gpu("p100-pcie")


def array(*values: float) -> np.ndarray:
    return np.array(values)


def one_product(
    gpu: GpuSpec = V100, tile_n: float = 64.0, ctas: float = 1.0, depth: float = 4096.0, **changes: float
) -> Estimate:
    """A product of ``ctas`` CTAs per SM of ``gpu``, in tiles of 128 x ``tile_n``."""
    m, n = 128.0 * gpu.sms * ctas, tile_n
    sizes = (m, n, depth, 1.0, 4 * m * depth, 4 * n * depth, 4 * m * n, 1.0, 0.0)
    tiles = Tiles(array(128.0), array(tile_n), array(8.0), array(1.0))
    constants = replace(load_calibration().gemm(gpu, DataType.FP32, "forward"), **changes)
    problems = Problems(*(array(size) for size in sizes))
    return estimate(problems, tiles, gpu, DataType.FP32, "plain", constants, "warm")


@pytest.mark.parametrize("gpu", [V100, P100], ids=["V100", "P100"])
def test_a_second_cta_on_an_sm_fills_the_gaps_of_the_first(gpu: GpuSpec) -> None:
    one, two, four = (one_product(gpu, ctas=count).time_us[0] for count in (1.0, 2.0, 4.0))
    assert two < 1.7 * one
    assert four > 1.8 * two


def test_a_tile_of_two_warps_leaves_partitions_idle_that_a_tile_of_eight_fills() -> None:
    narrow, wide = one_product(tile_n=32.0), one_product(tile_n=128.0)
    assert narrow.latency_us[0] > narrow.compute_us[0]
    assert wide.latency_us[0] < 0.2 * wide.compute_us[0]


def test_three_ctas_of_two_warps_take_as_long_as_four_on_four_partitions_but_not_on_two() -> None:
    warps, short = array(2.0), array(0.0)
    for gpu, extra in ((V100, 1.0), (P100, 0.0)):
        three, four = (array(count) for count in (3.0, 4.0))
        assert idle_us(array(1.0), three, warps, short, gpu)[0] == pytest.approx(extra)
        assert idle_us(array(1.0), four, warps, short, gpu)[0] == 0.0


def test_a_step_lasts_longer_where_its_operands_come_from_dram() -> None:
    held, missed = step_us(V100, 1280.0, 0.0), step_us(V100, 1280.0, 1.0)
    assert held == pytest.approx(1280 / V100.clock_mhz)
    assert missed - held == pytest.approx((V100.dram.latency_ns - V100.l2.latency_ns) / 1000)


def test_rows_that_fill_whole_bursts_are_not_torn() -> None:
    rows = array(16.0, 256.0, 196.0, 49.0, 2.0)
    assert torn_share(rows, 4.0).tolist() == [0.0, 0.0, 0.75, 0.9375, 0.875]
    assert torn_share(rows, 2.0).tolist() == [0.5, 0.0, 0.875, 0.96875, 0.9375]


def test_neutral_constants_cost_nothing() -> None:
    best = one_product(step_cycles=0.0, output_cycles=0.0, torn_writes=0.0)
    without = one_product(step_cycles=0.0, output_cycles=0.0)
    assert best.time_us == without.time_us
    assert best.latency_us[0] < one_product().latency_us[0]


def test_storing_counts_for_every_result() -> None:
    cheap, dear = (one_product(ctas=4.0, depth=8.0, output_cycles=cycles).compute_us[0] for cycles in (0.0, 1.0))
    assert dear - cheap == pytest.approx(4 * 128 * 64 / V100.clock_mhz)


def test_a_given_narrow_tile_that_has_an_sm_for_itself_is_sliced_from_volta_on() -> None:
    def depth(gpu: GpuSpec, m: float, tile_n: float) -> float:
        sizes = (array(size) for size in (m, 32.0, 1024.0, 1.0, 1.0, 1.0, 1.0, 1.0))
        return given_depth(Problems(*sizes), array(128.0), array(tile_n), gpu, DataType.FP32, "plain")[0]

    alone, crowded = 128.0 * V100.sms, 129.0 * V100.sms
    assert depth(V100, alone, 32.0) == 32.0
    assert depth(V100, crowded, 32.0) == depth(V100, alone, 64.0) == depth(P100, 128.0, 32.0) == 8.0


def test_a_sliced_step_takes_a_quarter_of_the_steps() -> None:
    tiles = [Tiles(array(128.0), array(32.0), array(depth), array(1.0)) for depth in (8.0, 32.0)]
    sizes = (128.0 * V100.sms, 32.0, 4096.0, 1.0, 4e6, 5e5, 1e6, 1.0, 0.0)
    constants = load_calibration().gemm(V100, DataType.FP32, "forward")
    problems = Problems(*(array(size) for size in sizes))
    plain, sliced = (estimate(problems, t, V100, DataType.FP32, "plain", constants, "warm").time_us[0] for t in tiles)
    assert sliced < 0.5 * plain
