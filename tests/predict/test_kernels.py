"""Kernels with constants of their own: which of them takes a product, and what the choice among them keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders import layer, tensor
from headroom.gpu.sheets import load_gpu
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution
from headroom.predict.calibration import load_calibration
from headroom.predict.kernel_record import kernel_set, record_of
from headroom.predict.kernel_time import choose_kernels, estimate_kernels, is_narrow, residents
from headroom.predict.kinds.layer_products import tiled_of
from headroom.predict.model import predict_layers
from headroom.predict.table import predict_table

H200, V100 = load_gpu("h200"), load_gpu("v100-pcie-32gb")
SETS = load_calibration().own_kernels


def convolution(channels: int, filters: int, size: int = 28, taps: int = 3, *, batch: int = 8) -> Layer:
    image, edge = (size, size), (taps // 2, taps // 2)
    work = Convolution(batch, channels, filters, image, image, (taps, taps), (1, 1), (edge, edge), (1, 1))
    weights = [tensor("w", filters, channels, taps, taps)]
    images = tensor("x", batch, channels, size, size)
    return layer("c", work, [images], weights=weights, shape=(batch, filters, size, size))


@pytest.mark.parametrize("name", sorted(SETS))
def test_every_kernel_fits_an_sm_and_no_constant_leaves_what_is_possible(name: str) -> None:
    kernels, shares = SETS[name].kernels, SETS[name].shares
    assert np.all(residents(kernels, H200) >= 1)
    assert np.all(kernels.threads * kernels.registers <= H200.registers_per_sm)
    assert np.all((kernels.efficiency > 0) & (kernels.efficiency <= 1))
    assert np.all(kernels.launch_us >= 0.505)
    assert shares.dram * H200.dram.bandwidth_gbs < 4600
    assert shares.sustained <= 0.9


def test_a_set_is_read_as_it_was_written() -> None:
    known = SETS["hopper tensor unaligned"]
    again = kernel_set(record_of(known))
    assert again.names == known.names
    assert again.shares == known.shares
    assert all(
        np.array_equal(getattr(again.kernels, f), getattr(known.kernels, f)) for f in ("tile_m", "pads", "wait_ns")
    )


def test_a_row_alone_has_the_time_that_it_has_among_many() -> None:
    rows = [
        {"op": "conv2d", "n": n, "c": c, "h": 14, "w": 14, "k": k, "r": r, "s": r, "padding": r // 2, "dtype": dtype}
        for n in (1, 32) for c in (3, 64, 70) for k in (58, 256) for r in (1, 3) for dtype in ("bf16", "tf32", "fp32")
    ]  # fmt: skip
    together = predict_table(rows, H200).answers.time_us
    alone = [predict_table([row], H200).answers.time_us[0] for row in rows]
    assert together.tolist() == alone


def test_channels_that_fill_no_load_keep_the_kernels_away_that_need_them() -> None:
    known = SETS["hopper tensor unaligned"]
    odd = tiled_of([convolution(70, 64)], DataType.BF16, "unaligned")
    times = estimate_kernels(
        odd.problems.column(), odd.channels.column(), known.kernels, known.shares, H200, DataType.BF16, "tensor", "warm"
    ).time_us[0]
    refused = (known.kernels.needs_even > 0) | (known.kernels.needs_product > 0) | (known.kernels.needs_bias > 0)
    assert np.array_equal(np.isinf(times), refused)
    assert refused.any()
    assert not refused.all()


def test_padding_costs_its_launches_and_copies() -> None:
    known = SETS["hopper tf32 unaligned"]
    pads = np.flatnonzero(known.kernels.pads)
    padding = replace(known, kernels=known.kernels.take(pads))

    def fastest(channels: int, filters: int) -> float:
        tiled = tiled_of([convolution(channels, filters)], DataType.TF32, "unaligned")
        best, _ = choose_kernels(tiled.problems, tiled.channels, padding, H200, DataType.TF32, "tensor", "warm")
        return float(best.time_us[0])

    assert fastest(62, 64) > fastest(64, 64) + 1.0
    assert fastest(62, 62) > fastest(62, 64)


def test_large_filters_in_fp32_run_as_fourier_transforms_faster_than_direct() -> None:
    large = convolution(256, 256, 27, 5, batch=32)
    answer = predict_layers([large], H200, DataType.FP32)[0]
    assert "FFT" in answer.algorithm
    direct = tiled_of([large], DataType.FP32, "forward")
    known = SETS["hopper plain convolution"]
    best, _ = choose_kernels(direct.problems, direct.channels, known, H200, DataType.FP32, "plain", "warm")
    assert answer.time_us is not None
    assert answer.time_us < best.time_us[0]


def test_gpus_whose_kernels_nobody_timed_are_predicted_by_tiles() -> None:
    assert load_calibration().kernels(V100, DataType.FP32, "matmul") is None
    assert load_calibration().kernels(H200, DataType.BF16, "vector") is None


@pytest.mark.parametrize("dtype", ["bf16", "tf32", "fp32"])
def test_a_filter_gradient_divides_its_long_sum_and_takes_about_as_long_as_the_forward_pass(dtype: str) -> None:
    sizes = {"op": "conv2d", "dtype": dtype, "n": 32, "c": 64, "h": 56, "w": 56, "k": 64, "r": 3, "s": 3, "padding": 1}
    answers = predict_table([sizes, {**sizes, "direction": "wgrad"}], H200).answers
    assert answers.ctas[1] > H200.sms / 2
    assert answers.time_us[1] < 2.5 * answers.time_us[0]


def test_short_narrow_results_are_divided_only_between_kernels_that_prefetch() -> None:
    known = SETS["hopper plain pointwise"]
    spared = known.kernels.spares_narrow > 0
    assert {name.split(" 32x32")[0] for name, flag in zip(known.names, spared, strict=True) if flag} >= {
        "plain product"
    }
    assert not any(
        name.startswith("plain product, piped") for name, flag in zip(known.names, spared, strict=True) if flag
    )
    narrow, half_filled = (tiled_of([convolution(544, n, 14, 1, batch=1)], DataType.FP32, "forward") for n in (128, 96))
    assert is_narrow(narrow.problems).tolist() == [1.0]
    assert is_narrow(half_filled.problems).tolist() == [0.0]
    times = estimate_kernels(
        narrow.problems.column(), narrow.channels.column(), known.kernels, known.shares, H200, DataType.FP32, "plain",
        "warm",
    ).time_us[0]  # fmt: skip
    assert np.all(np.isinf(times[spared]))


def test_parts_of_k_that_come_out_even_are_faster_than_parts_that_do_not() -> None:
    known = SETS["hopper plain pointwise"]
    place = next(i for i, name in enumerate(known.names) if name.startswith("plain product, piped 64x64x8, K in 8"))
    kernel = known.kernels.take(np.array([place]))
    even, uneven = (tiled_of([convolution(k, 128, 14, 1, batch=1)], DataType.FP32, "forward") for k in (512, 508))
    fast, slow = (
        estimate_kernels(x.problems, x.channels, kernel, known.shares, H200, DataType.FP32, "plain", "warm").time_us[0]
        for x in (even, uneven)
    )
    assert slow > fast


def test_a_bias_that_comes_in_as_an_input_opens_the_same_kernels_as_a_constant_one() -> None:
    plain = convolution(64, 128)
    image, weight, bias = plain.inputs[0], plain.weights[0], tensor("b", 128)
    constant = replace(plain, weights=(weight, bias))
    trained = replace(plain, inputs=(image, weight, bias), weights=())
    times = [predict_layers([x], H200, DataType.BF16)[0].time_us for x in (plain, constant, trained)]
    assert times[1] == pytest.approx(times[2], rel=0.02)
    assert times[0] != times[1]
