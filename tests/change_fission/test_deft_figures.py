"""The page on fission near the compute is what its script writes, and takes up rows as they come."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
import deft_figures
from headroom.gpu.sheets import load_gpu


def test_the_page_is_what_the_script_writes():
    assert deft_figures.PAGE.read_text("utf-8") == deft_figures.page()


def test_near_the_compute_strict_fp32_gains_at_batch_one_where_weights_bind_and_nowhere_else():
    gpu = load_gpu("h200")
    alexnet = next(each for each in deft_figures.networks() if each.name == "AlexNet")

    def speedup(batch: int) -> float:
        base, packed = (deft_figures.total_us(alexnet, gpu, batch, how) for how in ("no fission", "Deft-16Q"))
        return base / packed

    assert speedup(1) > 1.3
    assert speedup(128) < 0.9


def test_rows_of_a_whole_network_become_a_line_with_its_share_of_the_bound():
    gpu = load_gpu("h200")
    lenet = next(each for each in deft_figures.networks() if each.name == "LeNet-5")
    times = {
        (place.name, 1, "no fission"): 2 * deft_figures.bound(gpu, place.at(1), "no fission").time_us
        for place in lenet.convolutions
    }
    lines = list(deft_figures.measured_lines(times))

    assert any(line.startswith("| LeNet-5 | 1 | no fission |") and line.endswith("| 50 % |") for line in lines)
    times.popitem()
    assert not any("LeNet-5" in line for line in deft_figures.measured_lines(times))
