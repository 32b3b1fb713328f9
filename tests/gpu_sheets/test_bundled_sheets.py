"""Every bundled sheet is complete, consistent and sourced."""

from __future__ import annotations

import itertools
import time

import pytest

from headroom.gpu import sheets
from headroom.gpu.architecture import load_architecture
from headroom.gpu.describe import describe
from headroom.gpu.schema import FIELDS
from headroom.gpu.sheets import list_gpus, load_gpu, sheet_ids
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType

ASKED_FOR = {
    "k80", "m40", "m60", "titan-x-pascal", "titan-xp", "gtx-1080-ti", "p4", "p6000", "p100-pcie",
    "p100-sxm2", "titan-v", "v100-pcie-16gb", "v100-pcie-32gb", "v100-sxm2-16gb", "rtx-6000", "t4",
    "rtx-3090", "a10", "a100-40gb-pcie", "a100-40gb-sxm", "a100-80gb-pcie", "a100-80gb-sxm", "l4", "l40s",
    "rtx-4090", "h100-pcie", "h100-sxm", "h200", "b200", "jetson-nano", "jetson-orin",
}  # fmt: skip

LIMITS = (
    "registers_per_sm", "registers_per_thread", "shared_bytes_per_sm", "shared_bytes_per_cta", "max_warps_per_sm",
    "max_ctas_per_sm", "l1_bytes_per_sm",
)  # fmt: skip

every_gpu = pytest.mark.parametrize("gpu", list_gpus(), ids=lambda gpu: gpu.id)


def capability(gpu: GpuSpec) -> tuple[int, ...]:
    return tuple(int(part) for part in gpu.compute_capability.split("."))


def test_every_gpu_asked_for_has_a_sheet() -> None:
    assert not ASKED_FOR - set(sheet_ids())


def test_every_sheet_file_is_listed() -> None:
    files = {entry.name.removesuffix(".toml") for entry in sheets._FOLDER.iterdir() if entry.name.endswith(".toml")}
    assert files == set(sheet_ids())


def test_sheets_are_listed_by_generation() -> None:
    generations = [gpu.architecture for gpu in list_gpus()]
    order = [name for name, _ in itertools.groupby(generations)]
    assert order == ["Kepler", "Maxwell", "Pascal", "Volta", "Turing", "Ampere", "Ada", "Hopper", "Blackwell"]


@every_gpu
def test_every_figure_has_a_source(gpu: GpuSpec) -> None:
    for row in describe(gpu):
        assert row.source not in {"", "user", "unknown"}, row.field
        assert row.derived == row.source.startswith("rule: "), row.field


@every_gpu
def test_a_described_sheet_leaves_no_figure_out(gpu: GpuSpec) -> None:
    shown = {row.field: row.value for row in describe(gpu)}
    assert set(shown) == set(gpu.sources) - {"tensor_clock_mhz"}
    assert list(shown) == [name for name in FIELDS if name in shown]
    assert shown["l2_bandwidth_gbs"] == gpu.l2.bandwidth_gbs
    assert shown["l1_bytes_per_sm"] * gpu.sms == gpu.l1.size_bytes


def test_a_tensor_clock_below_the_boost_clock_is_sourced_with_the_rate() -> None:
    source = load_gpu("h200").sources["tensor_tflops.bf16"]
    assert "x 1830 MHz" in source
    assert source.endswith("datasheet: 989 TFLOPS dense in bf16 is 132 SMs x 4096 flops at 1830 MHz")


@every_gpu
def test_bandwidth_falls_and_latency_grows_away_from_the_sm(gpu: GpuSpec) -> None:
    assert gpu.l1.bandwidth_gbs >= gpu.l2.bandwidth_gbs >= gpu.dram.bandwidth_gbs
    assert gpu.l1.latency_ns < gpu.l2.latency_ns < gpu.dram.latency_ns
    assert gpu.shared.latency_ns < gpu.l2.latency_ns
    assert 0.6 * gpu.dram_peak_gbs <= gpu.dram.bandwidth_gbs <= gpu.dram_peak_gbs


@every_gpu
def test_rates_are_sms_times_units_times_two_times_clock(gpu: GpuSpec) -> None:
    architecture = load_architecture(gpu.compute_capability)
    assert architecture is not None
    for rates, per_clock in ((gpu.plain_tflops, architecture.plain), (gpu.tensor_tflops, architecture.tensor)):
        assert {dtype.value for dtype in rates} == set(per_clock)
        for dtype, tflops in rates.items():
            boost = gpu.sms * per_clock[dtype.value] * gpu.clock_mhz / 1e6
            # Tensor rates are published at up to 8 % below the boost clock, and at half rate on GeForce boards.
            slow = 0.5 if gpu.id in {"rtx-3090", "rtx-4090"} and rates is gpu.tensor_tflops else 1.0
            assert 0.92 * slow * boost <= tflops <= 1.02 * slow * boost, dtype


def test_gpus_of_one_compute_capability_share_its_limits() -> None:
    for _, family in itertools.groupby(sorted(list_gpus(), key=capability), key=capability):
        assert len({tuple(getattr(gpu, limit) for limit in LIMITS) for gpu in family}) == 1


@every_gpu
def test_data_types_follow_the_generation(gpu: GpuSpec) -> None:
    has = gpu.tensor_tflops.__contains__
    assert has(DataType.FP16) == (capability(gpu) >= (7, 0))
    assert has(DataType.TF32) == has(DataType.BF16) == (capability(gpu) >= (8, 0))
    assert has(DataType.FP8) == (capability(gpu) >= (8, 9))
    assert DataType.FP32 not in gpu.tensor_tflops
    assert DataType.FP32 in gpu.plain_tflops


@pytest.mark.parametrize(
    ("gpu", "times"),
    [("titan-xp", 1 / 64), ("p4", 1 / 64), ("p100-pcie", 2), ("jetson-nano", 2), ("t4", 2), ("a100-80gb-sxm", 4)],
)
def test_plain_fp16_runs_at_the_generations_multiple_of_fp32(gpu: str, times: float) -> None:
    plain = load_gpu(gpu).plain_tflops
    assert plain[DataType.FP16] / plain[DataType.FP32] == pytest.approx(times)


def test_a_gpu_with_slow_fp16_units_computes_fp16_in_fp32() -> None:
    pascal = load_gpu("titan-xp")
    assert pascal.peak_tflops(DataType.FP16) == pascal.plain_tflops[DataType.FP32]


@pytest.mark.parametrize(
    ("gpu", "dtype", "dense_tflops"),
    [
        ("v100-sxm2-16gb", DataType.FP16, 125), ("t4", DataType.FP16, 65), ("a100-80gb-sxm", DataType.TF32, 156),
        ("a100-80gb-sxm", DataType.BF16, 312), ("a10", DataType.BF16, 125), ("rtx-3090", DataType.FP16, 71),
        ("rtx-4090", DataType.FP16, 165.2), ("rtx-4090", DataType.FP8, 330.3), ("l4", DataType.FP8, 242),
        ("l40s", DataType.BF16, 362), ("h100-pcie", DataType.BF16, 756), ("h100-sxm", DataType.TF32, 494.7),
        ("h200", DataType.FP8, 1979), ("b200", DataType.BF16, 2250),
    ],
)  # fmt: skip
def test_tensor_rates_are_the_published_dense_ones(gpu: str, dtype: DataType, dense_tflops: float) -> None:
    assert load_gpu(gpu).tensor_tflops[dtype] == pytest.approx(dense_tflops, rel=0.015)


@pytest.mark.alone
def test_one_sheet_loads_in_under_five_milliseconds() -> None:
    best_s = 1.0
    for _ in range(10):
        for cached in (sheets._bundled_file, sheets._load_bundled, load_architecture):
            cached.cache_clear()
        start_s = time.process_time()  # other processes' time is not ours
        load_gpu("h200")
        best_s = min(best_s, time.process_time() - start_s)
    assert best_s < 0.005
