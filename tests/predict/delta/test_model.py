"""The model from end to end: bulk, speed, explanation, prior models, the paper's GPUs."""

from __future__ import annotations

import time
from dataclasses import fields

import numpy as np
import pytest

from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution, Matmul
from headroom.predict.delta import ConvBatch, Estimate, estimate, explain
from headroom.predict.delta.machine import l1_request_bytes
from headroom.predict.delta.prior import MISS_RATES, estimate_prior
from headroom.predict.delta.published import DESIGN_OPTIONS, TABLE_ONE, scaled_gpu, table_one_gpu

XP = table_one_gpu("TITAN Xp")
CONV = Convolution(256, 96, 256, (27, 27), (27, 27), (5, 5), (1, 1), ((2, 2), (2, 2)), (1, 1), 2)


def _random(count: int, seed: int = 7) -> ConvBatch:
    rng = np.random.default_rng(seed)
    kernel = rng.choice([1, 3, 5, 7], count)
    stride = rng.integers(1, 3, count)
    return ConvBatch.build(
        n=rng.integers(1, 257, count), c=rng.integers(1, 1025, count), h=rng.integers(7, 225, count),
        w=rng.integers(7, 225, count), k=rng.integers(1, 1025, count), r=kernel, s=kernel, stride_h=stride,
        stride_w=stride, pad_h=kernel // 2, pad_w=kernel // 2,
    )  # fmt: skip


def _arrays(answer: Estimate) -> list[np.ndarray]:
    found = [answer.time_us, answer.waves, answer.tail_utilization, answer.times.limit]
    found += [getattr(answer.traffic, field.name) for field in fields(answer.traffic)]
    return [*found, *answer.times.candidates_ns]


@pytest.mark.parametrize("gpu", ["TITAN Xp", "V100"])
def test_one_by_one_equals_bulk_bit_for_bit(gpu: str) -> None:
    layers, spec = _random(300), table_one_gpu(gpu)
    bulk = _arrays(estimate(layers, spec))

    for index in range(len(layers)):
        alone = _arrays(estimate(layers.take([index]), spec))
        assert [column[index] for column in bulk] == [column[0] for column in alone]


@pytest.mark.alone
def test_a_hundred_thousand_convolutions_take_well_under_a_second() -> None:
    layers = _random(100_000)
    start = time.process_time()
    answer = estimate(layers, XP)

    assert time.process_time() - start < 1.0
    assert np.isfinite(answer.time_us).all()


def test_time_grows_with_the_batch_in_steps_and_never_falls() -> None:
    layers = ConvBatch.build(n=np.arange(1, 300), c=256, h=14, w=14, k=256, r=3, s=3, pad_h=1, pad_w=1)

    assert (np.diff(estimate(layers, XP).time_us) >= -1e-9).all()


def test_waves_and_tail_utilisation_describe_the_grid() -> None:
    layer = ConvBatch.build(n=31, c=256, h=16, w=8, k=128, r=1, s=1)
    answer = estimate(layer, XP)

    assert answer.waves[0] == pytest.approx(31 / (30 * 2))
    assert answer.tail_utilization[0] == pytest.approx(31 / (30 * 2))


def test_half_the_bytes_per_element_is_half_the_dram_traffic() -> None:
    full, half = (estimate(ConvBatch.of([CONV], size), XP).traffic for size in (4, 2))

    assert half.dram_bytes[0] * 2 == full.dram_bytes[0]
    assert half.store_bytes[0] * 2 == full.store_bytes[0]


def test_the_explanation_walks_every_equation_and_ends_in_the_time() -> None:
    terms = explain(CONV, XP)
    numbers = {int(number) for term in terms for number in term.equation.split("-") if number.isdigit()}

    assert numbers == set(range(2, 19))
    assert terms[-1].name == "time"
    assert terms[-1].value == estimate(ConvBatch.of([CONV]), XP).time_us[0]
    assert terms[-1].note == "the largest: limited by compute"
    names = [term.name for term in terms]
    assert len(names) == len(set(names))


def test_the_explanation_of_a_matrix_product_uses_the_unique_elements_rule() -> None:
    terms = {term.name: term for term in explain(Matmul(512, 1000, 768), XP, DataType.FP32)}

    assert "DIST_V" not in terms
    assert "all elements are unique" in terms["A_DIST_IFmap"].note


def test_a_miss_rate_of_one_passes_the_l1_traffic_through() -> None:
    layers = _random(50)
    moved = estimate_prior(layers, XP, miss_rate=1.0).traffic

    assert (moved.l2_bytes == moved.l1_bytes).all()
    assert (moved.dram_bytes == moved.l1_bytes).all()


def test_a_higher_miss_rate_never_makes_a_layer_faster() -> None:
    layers = _random(50)
    took = np.stack([estimate_prior(layers, XP, miss_rate=rate).time_us for rate in MISS_RATES])

    assert (np.diff(took, axis=0) >= 0).all()


@pytest.mark.parametrize("name", TABLE_ONE)
def test_the_paper_s_gpus_carry_table_one(name: str) -> None:
    gpu, row = table_one_gpu(name), TABLE_ONE[name]

    assert (gpu.sms, gpu.registers_per_sm, gpu.shared_bytes_per_sm) == (row.sms, 65536, row.shared_kb * 1024)
    assert gpu.l1.bandwidth_gbs == row.l1_gbs_per_sm * row.sms
    assert (gpu.l2.bandwidth_gbs, gpu.dram.bandwidth_gbs) == (row.l2_gbs, row.dram_gbs)
    assert gpu.plain_tflops[DataType.FP32] == row.gflops / 1e3


def test_volta_and_later_request_32_bytes_from_l1() -> None:
    assert [l1_request_bytes(load_gpu(name)) for name in ("titan-xp", "v100-sxm2", "h200")] == [128, 32, 32]


def test_a_design_option_scales_only_what_it_names() -> None:
    option = next(option for option in DESIGN_OPTIONS if option.name == "5")
    gpu = scaled_gpu(XP, option)

    assert gpu.sms == XP.sms
    assert gpu.peak_tflops(DataType.FP32) == 4 * XP.peak_tflops(DataType.FP32)
    assert gpu.dram.bandwidth_gbs == 1.5 * XP.dram.bandwidth_gbs
    assert gpu.dram.latency_ns == XP.dram.latency_ns
    assert option.tiles.tiles[0] == (128, 128, 8)
