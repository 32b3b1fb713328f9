"""What bounds packed kernels: each resource where it should, on sheets as they are."""

from __future__ import annotations

import pytest

from headroom.gpu.sheets import load_gpu
from headroom.predict.packed import UNPACKING, gemm_bound, linear_bound, unpacking_of

H200 = load_gpu("h200")


def test_one_sample_is_bound_by_dram_and_eight_by_arithmetic() -> None:
    one = linear_bound(H200, UNPACKING["int8"], outputs=4096, k=9216, samples=1, rows=4)
    eight = linear_bound(H200, UNPACKING["int8"], outputs=4096, k=9216, samples=8, rows=4)

    assert one.limit == "dram"
    assert one.time_us == pytest.approx(4096 * 9216 / (H200.dram_peak_gbs * 1e3), rel=0.01)
    assert eight.limit in ("issue", "shared")
    assert eight.time_us > one.time_us


def test_fewer_bits_take_less_time_until_instructions_bound() -> None:
    times = {
        name: linear_bound(H200, unpacking_of(name), outputs=4096, k=9216, samples=1, rows=4).time_us
        for name in ("fp32", "deft16", "int8", "int4_g128")
    }

    assert times["fp32"] > times["deft16"] > times["int8"] > times["int4_g128"]
    assert times["fp32"] / times["int8"] == pytest.approx(4, rel=0.02)


def test_the_scales_of_groups_cross_dram_too() -> None:
    with_scales, without = (
        linear_bound(H200, UNPACKING["int4"], outputs=4096, k=4096, samples=1, group=group) for group in (32, None)
    )
    assert with_scales.dram_us / without.dram_us == pytest.approx(1.25, rel=0.01)


def test_a_strict_product_is_bound_by_slots_and_fission_takes_more_of_them() -> None:
    plain, quick, eight, unit = (
        gemm_bound(H200, form, form, m=4096, n=4096, k=4096)
        for form in (UNPACKING[name] for name in ("fp32", "deft16q", "deft8e4", "deft8_unit"))
    )

    assert plain.limit in ("fma", "issue")
    assert plain.fma_us == pytest.approx(2 * 4096**3 / 1e6 / 66.9, rel=0.02)
    assert plain.issue_us < quick.issue_us < eight.issue_us
    assert quick.shared_us == pytest.approx(plain.shared_us / 2)
    assert unit.issue_us < eight.issue_us, "the paper's unit gives the slots back"


def test_splitting_ahead_of_shared_memory_costs_fewer_slots_and_saves_no_bandwidth_there() -> None:
    form = UNPACKING["deft16"]
    near, far = (gemm_bound(H200, form, form, m=2048, n=2048, k=2048, near=near) for near in (True, False))

    assert far.issue_us < near.issue_us
    assert far.shared_us == pytest.approx(2 * near.shared_us)
    assert far.dram_us == near.dram_us
