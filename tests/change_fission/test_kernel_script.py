"""The script that times the kernels: what it would do without a GPU, and how it goes on after an interruption."""

from __future__ import annotations

from pathlib import Path

import pytest

import fission_convolutions
import fission_kernels
from headroom.gpu.sheets import load_gpu


def test_a_dry_run_lists_every_row_with_its_bound(capsys):
    fission_kernels.show(list(fission_kernels.rows()))
    lines = capsys.readouterr().out.splitlines()

    assert len(lines) == len(set(lines)) > 400
    assert any(line.startswith("linear alexnet fc6 1x4096x9216 bf16 int8  at least ") for line in lines)
    layers = len(fission_kernels.PRODUCTS) + 3 * len(fission_convolutions.places())
    assert sum("Deft-8H (simulated unit)" in line for line in lines) == layers
    unbound = [line for line in lines if "at least" not in line]
    assert all(line.endswith(fission_kernels.LIBRARIES) for line in unbound)


def test_every_convolution_of_the_papers_networks_is_timed_at_three_batches_the_telling_ways_first():
    rows = [row for row in fission_kernels.rows() if row.part == "convolutions"]
    found = {row.layer.rpartition(" ")[0] for row in rows}

    assert found == {"AlexNet", "VGG16 at 224x224", "CifarNet", "LeNet-5"}
    assert {row.batch for row in rows} == {1, 32, 128}
    assert [row.how for row in rows[:1]] == ["library"]
    vgg16 = [each for each in fission_convolutions.places() if each.layer.network.startswith("VGG16")]
    assert sum(each.count for each in vgg16) == 13
    gmacs = sum(each.count * each.at(1).multiply_adds for each in vgg16) / 1e9
    assert gmacs == pytest.approx(15.35, abs=0.01)


def test_packed_convolutions_are_bound_by_multiply_adds_and_splitting_on_an_h200():
    gpu = load_gpu("h200")
    layer = next(each for each in fission_convolutions.places() if each.name == "VGG16 at 224x224 conv4_2").at(32)
    plain, fission = (fission_convolutions.bound(gpu, layer, how) for how in ("no fission", "Deft-16Q"))

    assert (plain.limit, fission.limit) == ("fma", "fma")
    assert 1.1 < fission.time_us / plain.time_us < 1.15
    assert fission.dram_us < 0.75 * plain.dram_us


def test_packed_weights_are_bound_to_pay_at_batch_one_on_an_h200():
    gpu = load_gpu("h200")
    row = fission_kernels.Row("linear", "alexnet fc6", 1, 4096, 9216, "int8", "bf16")
    bf16_us = 2 * 4096 * 9216 / (gpu.dram_peak_gbs * 1e3)

    assert bf16_us / fission_kernels.bound(row, gpu).time_us > 1.9


def test_the_page_gives_the_bounds_that_the_script_computes():
    page = (Path(__file__).resolve().parents[2] / "docs" / "fission.md").read_text("utf-8")
    gpu = load_gpu("h200")

    def us(how: str) -> float:
        return fission_kernels.bound(fission_kernels.Row("products", "square", 4096, 4096, 4096, how), gpu).time_us

    plain = fission_kernels.bound(fission_kernels.Row("products", "square", 4096, 4096, 4096, "no fission"), gpu)
    words = " ".join(page.split())
    assert f"{us('no fission'):.0f} us without fission, {us('Deft-16Q'):.0f} us with Deft-16Q" in words
    assert f"{us('Deft-8, 4 exponent bits'):.0f} us with Deft-8 split in software" in words
    assert f"{us('Deft-8H (simulated unit)'):.0f} us with the paper's unit" in words
    assert f"busy for {100 * plain.shared_us / plain.fma_us:.0f} % of the time" in words
    assert us("Deft-16Q, off-chip packing") < 1.01 * plain.time_us


def test_an_interrupted_run_goes_on_and_other_systems_are_kept_apart():
    wanted = list(fission_kernels.rows())[:5]
    timed: list[str] = []

    def timer(row):
        timed.append(row.key)
        return {"time_us": 1.0}

    steps = fission_kernels.measure(wanted, "a", [], 60, timer)
    next(steps)
    known = list(next(steps))
    (*_, again) = fission_kernels.measure(wanted, "a", known, 60, timer)
    assert timed == [row.key for row in wanted]
    (*_, both) = fission_kernels.measure(wanted, "b", list(again), 60, timer)
    assert len(both) == 10


def test_nothing_is_begun_once_the_time_is_over():
    assert list(fission_kernels.measure(list(fission_kernels.rows()), "a", [], -1, dict)) == []
