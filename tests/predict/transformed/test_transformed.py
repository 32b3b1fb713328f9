"""Winograd's and the FFT's kernels: what they cost, when they run, and that im2col stays what it was."""

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
from headroom.predict.delta import ConvBatch
from headroom.predict.model import predict_layers
from headroom.predict.prediction import Prediction
from headroom.predict.table import predict_table
from headroom.predict.transformed import ALGORITHMS, Machinery, can_run, fastest_transformed

V100, XP, A100 = (load_gpu(name) for name in ("v100-sxm2-16gb", "titan-xp", "a100-80gb-sxm"))

#: Benanza's database, cuDNN 7.6, fp32: algorithm, (images, channels in and out, size), microseconds on V100, TITAN Xp.
PUBLISHED = [
    ("WINOGRAD", (1, 64, 56), 32.1, 33.1),
    ("WINOGRAD", (8, 128, 28), 137.2, 154.3),
    ("WINOGRAD", (32, 256, 14), 426.8, 534.3),
    ("WINOGRAD_NONFUSED", (1, 128, 28), 156.5, 242.1),
    ("WINOGRAD_NONFUSED", (16, 256, 14), 170.6, 264.6),
    ("WINOGRAD_NONFUSED", (32, 256, 14), 306.8, 459.2),
    ("FFT_TILING", (8, 128, 28), 314.7, 560.1),
]


def machinery(gpu=V100) -> Machinery:
    known = load_calibration()
    return Machinery(gpu, known.plain, known.streams(gpu), known.transforms, "warm")


def convs(n: int, channels: int, size: int, taps: int = 3, **more: int) -> ConvBatch:
    pad = taps // 2
    return ConvBatch.build(
        n=n, c=channels, h=size, w=size, k=channels, r=taps, s=taps, pad_h=pad, pad_w=pad, **more
    )  # fmt: skip


def square(n: int, channels: int, size: int, taps: int = 3, stride: int = 1, groups: int = 1) -> Layer:
    pad, out = taps // 2, size // stride
    sides = (size, size), (out, out), (taps, taps), (stride, stride), ((pad, pad),) * 2
    work = Convolution(n, channels, channels, *sides, (1, 1), groups)
    weights = [tensor("w", channels, channels // groups, taps, taps)]
    return layer("conv", work, [tensor("x", n, channels, size, size)], weights=weights, shape=(n, channels, out, out))


def one(subject: Layer, gpu=V100, dtype: DataType = DataType.FP32) -> Prediction:
    return predict_layers([subject], gpu, dtype)[0]


@pytest.mark.parametrize(("algorithm", "shape", "v100_us", "xp_us"), PUBLISHED)
def test_published_times_of_each_algorithm_are_met_to_a_fifth(algorithm, shape, v100_us: float, xp_us: float) -> None:
    for gpu, measured_us in ((V100, v100_us), (XP, xp_us)):
        predicted = ALGORITHMS[algorithm](convs(*shape), machinery(gpu)).time_us[0]
        assert predicted == pytest.approx(measured_us, rel=0.2)


def test_sixteen_images_cost_what_one_does_where_transforms_go_through_memory() -> None:
    one_us, sixteen_us, more_us = (
        ALGORITHMS["WINOGRAD_NONFUSED"](convs(n, 128, 28), machinery()).time_us[0] for n in (1, 16, 17)
    )
    assert sixteen_us < 1.2 * one_us
    assert more_us > 1.5 * sixteen_us


def test_a_large_image_takes_three_launches_per_tile_of_the_fft() -> None:
    few, many = (ALGORITHMS["FFT_TILING"](convs(4, 64, size), machinery()) for size in (30, 240))
    tiles = 64
    assert many.launch_us[0] == pytest.approx(3 * tiles * V100.launch_us + few.launch_us[0] / 4)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_larger_layer_never_takes_less_and_a_cold_cache_never_helps(name: str) -> None:
    run = ALGORITHMS[name]
    times = [run(convs(n, c, size), machinery()).time_us[0] for n, c, size in ((2, 64, 28), (4, 64, 28), (4, 128, 28))]
    assert times == sorted(times)
    cold = run(convs(2, 64, 28), replace(machinery(), l2_state="cold")).time_us[0]
    assert cold >= times[0]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_from_a_cold_cache_images_and_filters_cross_dram(name: str) -> None:
    many_filters = convs(1, 1000, 8)
    cold = ALGORITHMS[name](many_filters, replace(machinery(), l2_state="cold"))
    assert cold.dram_bytes[0] >= (9 * 1000 * 1000 + 1000 * 8 * 8) * 4


def test_only_unit_steps_one_group_and_known_filters_are_transformed() -> None:
    assert can_run("WINOGRAD", convs(1, 8, 28)).all()
    assert can_run("WINOGRAD_NONFUSED", convs(1, 8, 28, taps=5)).all()
    assert not can_run("WINOGRAD", convs(1, 8, 28, taps=5)).any()
    for refused in ({"stride_h": 2}, {"dilation_w": 2}, {"groups": 8}):
        assert not any(can_run(name, convs(1, 8, 28, **refused)).any() for name in ALGORITHMS)
    nothing = fastest_transformed(convs(1, 8, 28, stride_h=2), machinery())
    assert nothing.names[0] == ""
    assert np.isinf(nothing.estimate.time_us[0])


def test_a_layer_takes_the_fastest_algorithm_and_names_it() -> None:
    answer = one(square(1, 64, 56))
    assert answer.algorithm == "Winograd, fused, F(2x2, 3x3), on plain units"
    assert answer.notes == (
        "not im2col: the library runs it faster by another algorithm (Winograd, fused, F(2x2, 3x3))",
    )
    assert answer.tile is None
    assert answer.error_pct < 25
    assert "F(4x4" in one(square(32, 512, 7)).algorithm
    assert "implicit GEMM" in one(square(1, 64, 56, stride=2)).algorithm
    assert "implicit GEMM" in one(square(1, 64, 56, groups=4)).algorithm


def test_a_table_is_answered_for_the_im2col_kernel() -> None:
    row = {"op": "conv2d", "n": 8, "c": 64, "h": 56, "w": 56, "k": 64, "r": 3, "s": 3, "padding": 1}
    table = predict_table([row], V100).answers
    layered = one(square(8, 64, 56))
    assert layered.time_us < 0.9 * table.time_us[0]
    assert table.tile_m[0] == 128


#: DeepBench, TITAN Xp, fp32, 3x3, unit steps: batch, channels in, size, channels out, microseconds of the gradient.
GRADIENTS = [(8, 64, 56, 64, 153), (16, 256, 28, 512, 1324), (8, 512, 14, 512, 473), (16, 128, 56, 256, 1734)]


@pytest.mark.parametrize(("n", "c", "size", "k", "measured_us"), GRADIENTS)
def test_an_input_gradient_of_unit_steps_is_a_transformed_convolution_too(n, c, size, k, measured_us: float) -> None:
    row = {
        "op": "conv2d",
        "direction": "dgrad",
        "n": n,
        "c": c,
        "h": size,
        "w": size,
        "k": k,
        "r": 3,
        "s": 3,
        "padding": 1,
    }
    fastest, direct = (predict_table([{**row, "algorithm": a}], XP).answers.time_us[0] for a in ("fastest", "im2col"))
    assert fastest == pytest.approx(measured_us, rel=0.25)
    assert fastest < 0.8 * direct
    work = Convolution(n, k, c, (size, size), (size, size), (3, 3), (1, 1), ((1, 1),) * 2, (1, 1), direction="dgrad")
    shape = (n, c, size, size)
    backward = layer("g", work, [tensor("dy", n, k, size, size)], weights=[tensor("w", k, c, 3, 3)], shape=shape)
    answer = one(backward, XP)
    assert answer.time_us == fastest
    assert "Winograd" in answer.algorithm


def test_a_transformed_layer_lowers_its_own_floor_and_never_stands_below_it() -> None:
    for subject in (square(32, 512, 14), square(64, 64, 56), square(1, 512, 14)):
        answer = one(subject)
        assert answer.floor_us <= answer.time_us
    direct_floor_us = 2 * 64 * 56 * 56 * 64 * 64 * 9 / (V100.plain_tflops[DataType.FP32] * 1e6)
    assert one(square(64, 64, 56)).floor_us <= direct_floor_us


@pytest.mark.parametrize(("gpu", "dtype"), [(V100, DataType.FP16), (A100, DataType.TF32), (A100, DataType.BF16)])
def test_tensor_cores_multiply_directly(gpu, dtype: DataType) -> None:
    assert "implicit GEMM" in one(square(8, 64, 56), gpu, dtype).algorithm


def test_a_gpu_without_a_table_transforms_too_with_a_wider_bar() -> None:
    known, unknown = one(square(8, 64, 56)), one(square(8, 64, 56), A100)
    assert "Winograd" in unknown.algorithm
    assert unknown.error_pct > known.error_pct


@pytest.mark.filterwarnings("error")
def test_images_beyond_the_largest_square_are_no_undefined_arithmetic() -> None:
    """Nothing crosses DRAM in a warm cache, and nothing times infinity is no number: numpy then warns its users."""
    found = fastest_transformed(convs(1, 8, 300), machinery(A100))
    assert found.names[0] != "FFT"
    assert np.isfinite(found.estimate.dram_us).all()
