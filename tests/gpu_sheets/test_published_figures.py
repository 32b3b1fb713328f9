"""The sheets against figures published and measured elsewhere: they agree, or the sheet says why not."""

from __future__ import annotations

import csv
import functools
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from headroom.gpu.rules import DRAM_BEHAVIOUR, TYPICAL_LAUNCH_US
from headroom.gpu.sheets import load_gpu
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType

#: The table's names for our GPUs. Rows that name no board ("Tesla V100") stand under the one they fit best.
IDS = {
    "Tesla K80 (one GK210)": "k80", "Tesla M40": "m40", "Tesla M60 (one GM204)": "m60", "TITAN Xp": "titan-xp",
    "GTX 1080 Ti": "gtx-1080-ti", "Tesla P4": "p4", "P100": "p100-pcie", "Tesla P100": "p100-pcie",
    "Tesla P100 PCIe": "p100-pcie", "Tesla P100-PCIE-16GB": "p100-pcie", "Tesla P100 SXM2": "p100-sxm2",
    "TITAN V": "titan-v", "Tesla V100": "v100-pcie-16gb", "Tesla V100 PCIe": "v100-pcie-16gb",
    "Tesla V100 PCIe 16GB": "v100-pcie-16gb", "V100 PCIe 16GB": "v100-pcie-16gb",
    "Tesla V100-PCIE-32GB": "v100-pcie-32gb", "Tesla V100 SXM2": "v100-sxm2-16gb", "V100 SXM2": "v100-sxm2-16gb",
    "Tesla V100-SXM2-16GB": "v100-sxm2-16gb", "Quadro RTX 6000": "rtx-6000", "Tesla T4": "t4", "T4": "t4",
    "GeForce RTX 3090": "rtx-3090", "A10": "a10", "NVIDIA A100-PCIE-40GB": "a100-40gb-pcie",
    "A100-PCIE-40GB": "a100-40gb-pcie", "NVIDIA A100-SXM4-40GB": "a100-40gb-sxm", "A100": "a100-40gb-sxm",
    "NVIDIA A100 80GB PCIe": "a100-80gb-pcie", "A100 PCIe 80GB": "a100-80gb-pcie", "A100 80GB": "a100-80gb-sxm",
    "A100 SXM 80GB": "a100-80gb-sxm", "A100 SXM4 80GB": "a100-80gb-sxm", "NVIDIA L4": "l4", "L4": "l4", "L40S": "l40s",
    "GeForce RTX 4090": "rtx-4090", "H100 PCIe 80GB": "h100-pcie", "H100 PCIe": "h100-pcie",
    "H100 SXM5 80GB": "h100-sxm", "H100 SXM": "h100-sxm", "H100": "h100-sxm", "NVIDIA H100 80GB HBM3": "h100-sxm",
    "H200 SXM 141GB": "h200", "H200 SXM": "h200", "H200": "h200", "B200 SXM": "b200",
    "B200 (one die as listed)": "b200", "Jetson Nano": "jetson-nano", "Jetson AGX Orin 64GB": "jetson-orin",
    "AGX Orin": "jetson-orin",
}  # fmt: skip

#: How far two sources of one figure may lie apart before the sheet has to say so. Memory is sold in GB and counted
#: in GiB; achieved bandwidth is the best of several kernels.
TOLERANCE = {"mem_gb": 0.03, "measured_dram_gbs": 0.03, "fp16_tflops": 0.015}


def row_figures(gpu: GpuSpec) -> dict[str, float]:
    """A sheet's figures under the table's column names."""
    figures = {
        "cc": float(gpu.compute_capability), "sms": gpu.sms, "boost_or_max_mhz": gpu.clock_mhz,
        "mem_gb": gpu.memory_bytes / 2**30, "dram_gbs": gpu.dram_peak_gbs, "l1_kb_per_sm": gpu.l1_bytes_per_sm / 1024,
        "smem_kb_per_sm": gpu.shared_bytes_per_sm / 1024, "regs32_per_sm": gpu.registers_per_sm,
        "l2_mb": gpu.l2.size_bytes / 2**20, "fp32_tflops": gpu.plain_tflops[DataType.FP32],
        "max_threads_per_sm": 32 * gpu.max_warps_per_sm, "max_blocks_per_sm": gpu.max_ctas_per_sm,
        "measured_l1_gbs": gpu.l1.bandwidth_gbs, "measured_l2_gbs": gpu.l2.bandwidth_gbs,
        "measured_dram_gbs": gpu.dram.bandwidth_gbs,
    }  # fmt: skip
    for column, rates, dtype in (
        ("fp16_tflops", gpu.plain_tflops, DataType.FP16),
        ("bf16_tensor_tflops", gpu.tensor_tflops, DataType.BF16),
        ("fp8_tflops", gpu.tensor_tflops, DataType.FP8),
    ):
        if dtype in rates:
            figures[column] = rates[dtype]
    return figures


def test_every_row_about_our_gpus_agrees_or_its_conflict_is_explained(shared_data: Path) -> None:
    unexplained = []
    with (shared_data / "gpu_specs.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["gpu"] not in IDS:
                continue
            gpu = load_gpu(IDS[row["gpu"]])
            explained = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", " ".join(gpu.notes))}
            for column, ours in row_figures(gpu).items():
                for theirs in (text for text in row[column].split("/") if text):
                    half_a_digit = 0.5 * 10.0 ** -len(theirs.partition(".")[2])
                    agrees = ours == pytest.approx(float(theirs), rel=TOLERANCE.get(column, 0.01), abs=half_a_digit)
                    if not agrees and float(theirs) not in explained:
                        unexplained.append(f"{gpu.id} {column}: {theirs} in '{row['gpu']}', {ours:g} here")
    assert not unexplained


def test_every_gpu_of_ours_in_the_table_is_compared(shared_data: Path) -> None:
    with (shared_data / "gpu_specs.csv").open(newline="", encoding="utf-8") as file:
        listed = {row["gpu"] for row in csv.DictReader(file)}
    assert listed >= set(IDS)


def microbenchmarks(shared_data: Path, bench: str, gpu: str, metric: str) -> Iterator[tuple[float, float]]:
    """Pairs of x (footprint) and value of one curve."""
    for row in microbenchmark_rows(shared_data / "tables" / "gpu_benches_microbench.csv.gz"):
        if (row["bench"], row["gpu"], row["metric"]) == (bench, gpu, metric):
            yield float(row["x"]), float(row["value"])


@functools.cache
def microbenchmark_rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("gpu", "measured"), [("a100-80gb-sxm", "a100_80"), ("h100-pcie", "h100_pcie"), ("h200", "h200"), ("l40s", "l40")]
)
def test_l2_bandwidth_is_what_was_measured_inside_l2(shared_data: Path, gpu: str, measured: str) -> None:
    inside = [
        gbs
        for kilobytes, gbs in microbenchmarks(shared_data, "gpu-l2-cache", measured, "read_bw")
        if 6e3 < kilobytes < 16e3
    ]
    spec = load_gpu(gpu)
    clock = spec.clock_mhz / 2490 if gpu == "l40s" else 1.0
    assert spec.l2.bandwidth_gbs == pytest.approx(median(inside) * clock, rel=0.03)


@pytest.mark.parametrize(("gpu", "measured"), [("a100-80gb-sxm", "a100_80"), ("v100-pcie-16gb", "v100")])
def test_l1_bandwidth_is_what_was_measured_inside_l1(shared_data: Path, gpu: str, measured: str) -> None:
    curve = microbenchmarks(shared_data, "gpu-cache", measured, "read_bw")
    assert load_gpu(gpu).l1.bandwidth_gbs == pytest.approx(max(gbs for _, gbs in curve), rel=0.01)


@pytest.mark.parametrize(
    ("gpu", "measured", "mhz"),
    [("v100-pcie-32gb", "v100", 1380), ("a100-80gb-pcie", "a100_80", 1410), ("h200", "gh200", 1980)],
)
def test_latencies_are_those_of_the_pointer_chase(shared_data: Path, gpu: str, measured: str, mhz: float) -> None:
    spec = load_gpu(gpu)
    curve = list(microbenchmarks(shared_data, "gpu-latency", measured, "latency"))
    for level, low_kb, high_kb in ((spec.l1, 0, 64), (spec.l2, 600, 5000), (spec.dram, 1e6, 3e6)):
        clocks = median(cycles for kilobytes, cycles in curve if low_kb < kilobytes < high_kb)
        assert level.latency_ns == pytest.approx(clocks / mhz * 1e3, rel=0.02)


@pytest.mark.parametrize(
    ("family", "measured", "mhz"),
    [
        (("Volta", "HBM2"), "v100", 1380),
        (("Ampere", "HBM2"), "a100_80", 1410),
        (("Ampere", "GDDR6"), "a40", 1740),
        (("Ada", "GDDR6"), "l40", 2490),
        (("", "HBM3"), "gh200", 1980),
    ],
)
def test_the_way_beyond_l2_is_that_of_the_boards_the_rule_names(
    shared_data: Path, family: tuple[str, str], measured: str, mhz: float
) -> None:
    curve = list(microbenchmarks(shared_data, "gpu-latency", measured, "latency"))
    l2, dram = (median(ns for kb, ns in curve if low < kb < high) for low, high in ((600, 5000), (1e6, 3e6)))
    assert DRAM_BEHAVIOUR[family].leg_ns == pytest.approx((dram - l2) / mhz * 1e3, rel=0.02)


@pytest.mark.parametrize(
    ("family", "measured", "peak_gbs"),
    [(("Volta", "HBM2"), "v100", 898), (("Ampere", "GDDR6"), "a40", 696), (("Ada", "GDDR6"), "l40", 864)],
)
def test_the_share_of_dram_peak_is_that_of_the_boards_the_rule_names(
    shared_data: Path, family: tuple[str, str], measured: str, peak_gbs: float
) -> None:
    best_gbs = max(gbs for _, gbs in microbenchmarks(shared_data, "gpu-stream", measured, "read_bw"))
    assert DRAM_BEHAVIOUR[family].share == pytest.approx(best_gbs / peak_gbs, rel=0.01)


def test_l40s_l2_is_the_whole_96_mb_because_its_die_hits_there(shared_data: Path) -> None:
    curve = dict(microbenchmarks(shared_data, "gpu-l2-cache", "l40", "read_bw"))
    beyond_48_mb = [gbs for kilobytes, gbs in curve.items() if 60e3 < kilobytes < 90e3]
    assert min(beyond_48_mb) > 5000
    assert load_gpu("l40s").l2.size_bytes == 96 * 2**20


def test_a_typical_launch_is_the_mean_of_those_measured(shared_data: Path) -> None:
    measured_us = [64 / dict(small_kernels(shared_data, gpu))[64.0] for gpu in ("a40", "h200", "l40")]
    measured_us.append(load_gpu("a100-80gb-sxm").launch_us)  # its curve counts in MB and is read off at the start
    assert sum(measured_us) / len(measured_us) == pytest.approx(TYPICAL_LAUNCH_US, rel=0.05)


def small_kernels(shared_data: Path, gpu: str) -> list[tuple[float, float]]:
    """GB/s by kB of back-to-back launches; 1 kB per GB/s is 1 us."""
    return [
        pair
        for column in range(6)
        for pair in microbenchmarks(shared_data, "gpu-small-kernels", gpu, f"scale_bw_col{column}")
    ]
