"""What the theory says of hardware counters: the physics, one effect at a time."""

from __future__ import annotations

import pytest

from builders import conv, relu
from headroom.errors import UsageError
from headroom.gpu.sheets import load_gpu
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Matmul
from headroom.predict.counted_bytes import PHYSICS
from headroom.predict.counters import KnownKernel, LevelBytes, counters_of, predict_counters
from headroom.predict.model import predict_layers

H200 = load_gpu("h200")
MIB = 2**20
PLAIN = KnownKernel(128, 128, 8, resident=2, by_rows=True)
BULK = KnownKernel(128, 128, 64, bulk=True)


def product(m: int, n: int, k: int) -> Layer:
    specs = (TensorSpec("a", (m, k)), TensorSpec("b", (k, n)), TensorSpec("c", (m, n)))
    return Layer("matmul", "MatMul", Matmul(m, n, k, 1), specs[:1], specs[1:2], specs[2:])


def counted(m: int, n: int, k: int, kernel: KnownKernel, dtype: DataType = DataType.FP32) -> LevelBytes:
    return counters_of(product(m, n, k), kernel, H200, dtype)


def test_l1_moves_every_tile_once_and_the_result() -> None:
    found = counted(4096, 1024, 512, PLAIN)
    assert found.l1 == 4 * (4096 * 512 * 8 + 1024 * 512 * 32 + 4096 * 1024)


def test_a_result_that_fits_is_still_unwritten_when_the_kernel_ends() -> None:
    m, n, k = 1024, 1024, 8192
    assert counted(m, n, k, BULK, DataType.BF16).dram == pytest.approx(2 * (m * k + n * k), rel=1e-12)
    large = counted(65536, 1024, 64, BULK, DataType.BF16)
    moved = 2 * (65536 * 64 + 1024 * 64 + 65536 * 1024)
    assert moved - 30 * MIB < large.dram < moved - 10 * MIB


def test_columns_one_after_the_other_read_a_large_operand_as_often() -> None:
    m, n, k = 65536, 512, 1024  # A is five times the L2
    once, four = (counted(m, n, k, KnownKernel(128, columns, 8, resident=1, by_rows=True)) for columns in (512, 128))
    assert four.dram - once.dram == pytest.approx(3 * 4 * m * k, rel=0.02)


def test_clusters_load_what_they_share_once() -> None:
    def l2(along_m: int, along_n: int) -> float:
        kernel = KnownKernel(128, 128, 64, bulk=True, along_m=along_m, along_n=along_n)
        return counters_of(product(8192, 8192, 1024), kernel, H200, DataType.BF16, PHYSICS).l2

    loads = 2 * 8192 * 1024 * 64
    assert l2(1, 1) - l2(2, 1) == pytest.approx(loads / 2)
    assert l2(1, 1) - l2(2, 2) == pytest.approx(loads)


def test_every_second_byte_across_dram_passes_both_halves_of_the_l2() -> None:
    m, n, k = 1_048_576, 64, 64  # one pass over A and the result, and a weight that is loaded again by every tile
    found = counters_of(product(m, n, k), KnownKernel(128, 64, 64, bulk=True), H200, DataType.BF16, PHYSICS)
    once = 2 * m * (n + k)
    assert found.l2 == pytest.approx(1.5 * once + 2 * n * k * (m / 128), rel=1e-3)


def test_parts_of_a_divided_depth_are_summed_in_place() -> None:
    whole, parts = (counted(1024, 1024, 8192, KnownKernel(128, 128, 8, splits=s, resident=2)) for s in (1, 4))
    assert parts.l1 - whole.l1 == 6 * 4 * 1024 * 1024


def test_padding_is_not_loaded_and_shifted_rows_touch_more_sectors() -> None:
    kernel = KnownKernel(56, 64, 8, resident=2)
    found = counters_of(conv("c", "x"), kernel, H200, DataType.FP32)
    m, k, tiles = 56 * 56, 64 * 9, 56
    inside = (1 - 2 / (3 * 56)) ** 2
    assert found.l1 == pytest.approx(4 * (m * k * inside * (1 + 1 / 6) + 64 * k * tiles + m * 64), rel=1e-9)


def test_the_theorys_own_choice_is_what_predictions_say_at_the_caches() -> None:
    layers = [product(4096, 4096, 1024), conv("c", "x", 256, 28)]
    for dtype in (DataType.BF16, DataType.FP32):
        found = predict_counters(layers, H200, dtype)
        for bytes_, prediction in zip(found, predict_layers(layers, H200, dtype, l2_state="cold"), strict=True):
            assert prediction.l1_bytes == max(bytes_.l1, prediction.dram_bytes)
            assert prediction.l2_bytes == max(bytes_.l2, prediction.dram_bytes)


def test_gpus_and_layers_that_were_not_counted_are_refused() -> None:
    with pytest.raises(UsageError, match=r"compute capability 9\.0"):
        predict_counters([product(64, 64, 64)], load_gpu("v100-pcie-32gb"), DataType.FP32)
    with pytest.raises(UsageError, match="'thin'"):
        counters_of(relu("thin", "x"), BULK, H200, DataType.BF16)
