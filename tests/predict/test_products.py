"""Products: published tables come out as docs say, batches run as libraries run them, copies in turn stay cold."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.predict.calibration import load_calibration
from headroom.predict.gemm_problems import Problems
from headroom.predict.table import predict_table
from headroom.predict.tiles import choose
from predict.fitted import scaled_error

EVERY = 7

#: What a source may add to each of its rows.
PLAUSIBLE_CONSTANTS_US = np.linspace(-5, 120, 126)


def predicted_us(layers: list[dict[str, object]], gpu: str, l2_state: str = "warm") -> np.ndarray:
    return np.asarray(predict_table(layers, load_gpu(gpu), l2_state=l2_state).answers.time_us)


def published(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("kind", "gpu", "sheet", "most"),
    [
        ("linear", "Tesla V100-PCIE-32GB", "v100-pcie-32gb", 0.08),
        ("linear", "NVIDIA A100-PCIE-40GB", "a100-40gb-pcie", 0.10),
        ("bmm", "Tesla P100-PCIE-16GB", "p100-pcie", 0.07),
        ("bmm", "NVIDIA A100-PCIE-40GB", "a100-40gb-pcie", 0.06),
        ("bmm", "Tesla V100-PCIE-32GB", "v100-pcie-32gb", 0.12),
    ],
)
def test_published_fp32_products_are_met(shared_data: Path, kind: str, gpu: str, sheet: str, most: float) -> None:
    rows = [r for r in published(shared_data / "tables" / f"neusight_{kind}.csv.gz") if r["gpu"] == gpu][::EVERY]
    # The table's N is what the product sums over: the kernels' grids say so.
    layers: list[dict[str, object]] = [
        {"op": "matmul", "batch": r["B"], "m": r["M"], "n": r["K"], "k": r["N"], "dtype": "fp32"} for r in rows
    ]
    measured = np.array([1e3 * float(r["latency_ms"]) for r in rows])
    assert scaled_error(predicted_us(layers, sheet), measured, PLAUSIBLE_CONSTANTS_US) < most


@pytest.mark.parametrize(
    ("column", "sheet", "l2_state", "most"),
    [
        ("a100_sxm__sglang_0.5.10", "a100-80gb-sxm", "operands-rotated", 0.085),
        ("l40s__vllm_0.24.0", "l40s", "weights-rotated", 0.115),
    ],
)
def test_published_bf16_products_are_met(
    shared_data: Path, column: str, sheet: str, l2_state: str, most: float
) -> None:
    table = published(shared_data / "tables" / "aiconfigurator_gemm_bf16.csv.gz")
    rows = [r for r in table if r[column] and int(r["m"]) > 1][::EVERY]
    layers: list[dict[str, object]] = [{"op": "matmul", "dtype": "bf16", **{d: r[d] for d in "mnk"}} for r in rows]
    measured = np.array([1e3 * float(r[column]) for r in rows])
    assert scaled_error(predicted_us(layers, sheet, l2_state), measured, PLAUSIBLE_CONSTANTS_US) < most


def product(batch: int, m: int, n: int, k: int, width: float) -> Problems:
    b, sizes = float(batch), (float(m), float(n), float(k))
    moved = (b * m * k * width, b * k * n * width, b * m * n * width)
    return Problems(*(np.array([value]) for value in (*sizes, b, *moved, 1.0)))


def fp32(gpu: str, batch: int, m: int, n: int, k: int) -> tuple[float, str, float]:
    """Time in us, tile and parts of K."""
    sheet = load_gpu(gpu)
    constants = load_calibration().gemm(sheet, DataType.FP32, "matmul")
    work = product(batch, m, n, k, 4.0)
    best, tiles = choose(work, sheet, DataType.FP32, "plain", constants, "warm", may_split=True)
    return float(best.time_us[0]), f"{int(tiles.m[0])}x{int(tiles.n[0])}", float(tiles.splits[0])


@pytest.mark.parametrize("gpu", ["a100-40gb-pcie", "p100-pcie", "v100-pcie-32gb", "t4", "m40", "l40s"])
def test_a_batch_divides_no_sum_and_a_single_product_may(gpu: str) -> None:
    assert fp32(gpu, 2, 64, 64, 65536)[2] == 1
    assert fp32(gpu, 1, 64, 64, 65536)[2] > 1


def test_batches_take_the_tile_that_the_library_takes_and_not_the_fastest() -> None:
    assert fp32("a100-40gb-pcie", 500, 20, 20, 64)[1] == "128x128"
    assert fp32("p100-pcie", 500, 20, 20, 64)[1] == "64x128"


@pytest.mark.parametrize("gpu", ["a100-80gb-sxm", "l40s", "h200"])
def test_copies_in_turn_leave_large_weights_cold_and_small_ones_warm(gpu: str) -> None:
    def dram_bytes(n: int, k: int, l2_state: str) -> float:
        layer = {"op": "matmul", "m": 16, "n": n, "k": k, "dtype": "bf16"}
        return float(predict_table([layer], load_gpu(gpu), l2_state=l2_state).answers.dram_bytes[0])

    small, large = (512, 512), (8192, 8192)
    assert dram_bytes(*small, "weights-rotated") == 0.0
    assert dram_bytes(*large, "weights-rotated") >= 2 * 8192 * 8192
    for size in (small, large, (2048, 2048)):
        states = ("warm", "weights-rotated", "operands-rotated", "cold")
        moved = [dram_bytes(*size, state) for state in states]
        assert moved == sorted(moved)
