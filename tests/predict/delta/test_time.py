"""Section V, equation by equation, and the four cases of Fig. 10."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headroom.predict.delta import PAPER, PAPER_TILES, ConvBatch, Machine, Reading
from headroom.predict.delta.occupancy import active_ctas
from headroom.predict.delta.published import table_one_gpu
from headroom.predict.delta.time import CANDIDATES, Times, prologue, streams, times
from headroom.predict.delta.traffic import Traffic, grid, traffic
from headroom.predict.prediction import Bottleneck

MACHINE = Machine.of(table_one_gpu("TITAN Xp"))
LAYER = ConvBatch.build(n=256, c=256, h=13, w=13, k=128, r=3, s=3, pad_h=1, pad_w=1)
TILES = PAPER_TILES.choose(LAYER.gemm_n)
CUT = grid(LAYER, TILES)
SIZE = LAYER.bytes_per_element
MOVED = traffic(LAYER, TILES, CUT, 128.0)


def _times(machine: Machine = MACHINE, moved: Traffic = MOVED, reading: Reading = PAPER, active: float = 2) -> Times:
    return times(TILES, CUT, moved, SIZE, np.array([active]), machine, reading)


def test_table_one_s_flops_are_two_per_mac() -> None:
    assert MACHINE.mac_rate == pytest.approx(128 * 1.58, rel=1e-3)  # cores per SM x GHz


def test_equation_11_is_the_slowest_level_with_its_latency() -> None:
    flows = streams(TILES, MOVED, SIZE, MACHINE)

    levels = [
        MACHINE.l1_latency_ns + MOVED.l1_per_iteration[0] / 92,
        MACHINE.l2_latency_ns + MOVED.l2_per_iteration[0] / (1051 / 30),
        MACHINE.dram_latency_ns + MOVED.dram_per_iteration[0] / (450 / 30),
    ]
    assert flows.load_ns[0] == pytest.approx(max(levels))


def test_equation_12_stores_both_tiles_and_loads_a_warp_tile_per_warp() -> None:
    rate = 128 * 1.58
    stores, loads = (128 + 128) * 8 * 4, (64 + 32) * 8 * 8 * 4

    assert streams(TILES, MOVED, SIZE, MACHINE).shared_ns[0] == pytest.approx(stores / rate + loads / rate)


def test_equation_13_counts_macs() -> None:
    took = streams(TILES, MOVED, SIZE, MACHINE).compute_ns[0]

    assert took == pytest.approx(2 * 128 * 128 * 8 / (12134 / 30))


def test_equation_14_loads_the_inputs_and_not_the_output() -> None:
    inputs, rate = (128 + 128) * 8 * 4, 128 * 1.58
    by_hand = MACHINE.dram_latency_ns + inputs / 15 + MACHINE.shared_latency_ns + inputs / rate + 96 * 8 * 8 * 4 / rate

    assert prologue(TILES, SIZE, MACHINE)[0] == pytest.approx(by_hand)


def test_equation_15_writes_at_the_sm_s_share_of_dram() -> None:
    output = CUT.loaded_m[0] * 128 * 4

    assert _times().epilogue_ns[0] == pytest.approx(output / 15)
    assert _times(reading=Reading(epilogue_shares_dram=False)).epilogue_ns[0] == pytest.approx(output / 450)


def test_equations_16_to_18_for_the_sm_with_most_ctas() -> None:
    took = _times()
    flows, fill, write = took.streams, took.prologue_ns[0], took.epilogue_ns[0]
    per_sm, loops = np.ceil(338 / 30), 288
    output = CUT.loaded_m[0] * 128 * 4

    assert (took.ctas_per_sm[0], took.batches[0], CUT.iterations[0]) == (per_sm, 6, loops)
    last_step = max(flows.compute_ns[0], flows.shared_ns[0]) / 8
    by_hand = [
        fill + (flows.compute_ns[0] * loops + write) * per_sm,
        fill + (flows.shared_ns[0] * loops + write) * per_sm,
        fill + ((flows.load_ns[0] + last_step) * loops + write) * 6,
        fill + (flows.l1_transfer_ns[0] * loops + output / 92) * per_sm,
        fill + (flows.l2_transfer_ns[0] * loops + output / (1051 / 30)) * per_sm,
        fill + (flows.dram_transfer_ns[0] * loops + output / 15) * per_sm,
    ]
    assert took.candidates_ns[:, 0] == pytest.approx(by_hand)
    assert took.total_ns[0] == max(took.candidates_ns[:, 0])


@pytest.mark.parametrize(
    ("change", "limit"),
    [
        ({}, Bottleneck.COMPUTE),
        ({"shared_rate": 1.0}, Bottleneck.SHARED),
        ({"dram_latency_ns": 1e5}, Bottleneck.LATENCY),
        ({"l1_rate": 1.0}, Bottleneck.L1),
        ({"l2_rate": 1.0}, Bottleneck.L2),
        ({"dram_rate": 0.1}, Bottleneck.DRAM),
    ],
)
def test_the_scarcest_resource_is_the_bottleneck(change: dict[str, float], limit: Bottleneck) -> None:
    took = _times(replace(MACHINE, **change))

    assert CANDIDATES[took.limit[0]] is limit


def test_more_active_ctas_hide_more_latency() -> None:
    slow = replace(MACHINE, dram_latency_ns=1e4)
    latency = CANDIDATES.index(Bottleneck.LATENCY)

    few, many = (_times(slow, active=active).candidates_ns[latency, 0] for active in (1, 4))
    assert few / many == pytest.approx(4, rel=0.01)


def test_one_cta_more_than_sms_takes_a_second_round() -> None:
    layers = ConvBatch.build(n=[30, 31], c=256, h=16, w=8, k=128, r=1, s=1)  # 128 positions: a CTA per image
    tiles = PAPER_TILES.choose(layers.gemm_n)
    cut = grid(layers, tiles)
    moved = traffic(layers, tiles, cut, 128.0)
    took = times(tiles, cut, moved, layers.bytes_per_element, np.full(2, 2.0), MACHINE)

    assert cut.ctas.tolist() == [30, 31]
    assert took.ctas_per_sm.tolist() == [1, 2]
    compute = took.candidates_ns[0] - took.prologue_ns
    assert compute[1] == pytest.approx(2 * compute[0])


def test_registers_let_two_four_and_eight_ctas_onto_a_pascal_sm() -> None:
    tiles = PAPER_TILES.choose([128, 64, 32])
    active = active_ctas(
        tiles, np.full(3, 4.0), registers_per_sm=65536, shared_bytes_per_sm=96 * 1024, max_warps_per_sm=64,
        max_ctas_per_sm=32,
    )  # fmt: skip

    assert active.tolist() == [2, 4, 8]


@pytest.mark.parametrize(
    ("limit", "wanted"),
    [({"shared_bytes_per_sm": 20 * 1024}, 1), ({"max_warps_per_sm": 8}, 1), ({"max_ctas_per_sm": 1}, 1), ({}, 2)],
)
def test_every_resource_of_an_sm_can_limit_active_ctas(limit: dict[str, float], wanted: int) -> None:
    resources = {
        "registers_per_sm": 65536.0, "shared_bytes_per_sm": 98304.0, "max_warps_per_sm": 64.0, "max_ctas_per_sm": 32.0,
    }  # fmt: skip

    assert active_ctas(TILES, SIZE, **{**resources, **limit})[0] == wanted


def test_a_cta_larger_than_an_sm_still_counts_as_one() -> None:
    active = active_ctas(
        TILES, SIZE, registers_per_sm=1024, shared_bytes_per_sm=1024, max_warps_per_sm=64, max_ctas_per_sm=32
    )

    assert active[0] == 1
