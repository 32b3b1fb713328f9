"""A probe as a sheet: accepted wherever a GPU is named, every figure with its source, and beside the bundled one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headroom.errors import UsageError
from headroom.gpu.describe import describe
from headroom.gpu.schema import FIELDS
from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.measure.probe.result import TOLD_BY_DRIVER, Figure, Probe
from headroom.measure.probe.sheet import beside, sheet_toml

VALUES = {
    "sms": 132, "clock_mhz": 1975.3, "memory_bytes": 150_000_000_000, "l2_bytes": 62_914_560, "dram_peak_gbs": 4916.7,
    "dram_bandwidth_gbs": 4012.34567, "dram_latency_ns": 480.0, "l2_bandwidth_gbs": 8100.0, "l2_latency_ns": 139.0,
    "l1_bandwidth_gbs": 32000.0, "l1_latency_ns": 17.0, "shared_bandwidth_gbs": 33000.0, "shared_latency_ns": 12.0,
    "shared_bytes_per_sm": 233472, "shared_bytes_per_cta": 232448, "registers_per_sm": 65536, "max_warps_per_sm": 64,
    "max_ctas_per_sm": 32, "launch_us": 1.9, "plain_tflops.fp32": 66.0, "plain_tflops.fp64": 33.0,
    "l1_edge_bytes": 240_000.7, "mma_tflops.bf16": 620.0, "library_tflops.bf16": 790.0,
}  # fmt: skip


def probe(**changes: object) -> Probe:
    figures = [
        Figure(name, value, FIELDS[name].unit if name in FIELDS else "", TOLD_BY_DRIVER if name == "sms" else "a way")
        for name, value in VALUES.items()
    ]
    figures.append(Figure("wgmma_tflops.bf16", 950.0, "TFLOPS", "wgmma m64n256k16", 1755.0))
    whole = Probe("NVIDIA H200", "580.95.05", "2026-11-21", "9.0", False, tuple(figures), ())
    return replace(whole, **changes)


@pytest.fixture
def written(tmp_path: Path):
    def write(found: Probe, shipped: str | None = "h200"):
        path = tmp_path / "measured.toml"
        path.write_text(sheet_toml(found, load_gpu(shipped) if shipped else None), "utf-8")
        return load_gpu(path)

    return write


def test_the_sheet_is_accepted_and_says_what_was_measured(written) -> None:
    gpu = written(probe())
    assert (gpu.id, gpu.name, gpu.compute_capability) == ("measured", "NVIDIA H200", "9.0")
    assert gpu.sms == 132
    assert gpu.dram.bandwidth_gbs == pytest.approx(4012.35)
    assert gpu.l2.latency_ns == 139.0
    assert gpu.plain_tflops[DataType.FP32] == 66.0


def test_every_source_names_the_command_the_day_and_the_driver(written) -> None:
    gpu = written(probe())
    by = "headroom gpus probe, 2026-11-21, driver 580.95.05"
    assert gpu.sources["dram_bandwidth_gbs"] == f"measured by {by}: a way"
    assert gpu.sources["tensor_tflops.bf16"] == f"measured by {by}: wgmma m64n256k16, at 1755 MHz"
    assert gpu.sources["sms"] == f"told by the driver; {by}"
    assert gpu.sources["l1_bytes_per_sm"].startswith("not measured; sheet h200: ")


def test_the_fastest_way_to_the_tensor_cores_is_their_rate(written) -> None:
    assert written(probe()).tensor_tflops[DataType.BF16] == 950.0
    figures = tuple(figure for figure in probe().figures if not figure.name.startswith("wgmma"))
    without = written(probe(figures=figures))
    assert without.tensor_tflops[DataType.BF16] == 790.0


def test_a_gpu_without_a_bundled_sheet_still_gets_a_complete_one(written) -> None:
    known_architecture = written(probe(gpu="NVIDIA H20"), shipped=None)
    assert known_architecture.l1_bytes_per_sm == 262144
    unknown = written(probe(gpu="NVIDIA RTX 5090", compute_capability="12.0"), shipped=None)
    assert unknown.l1_bytes_per_sm == 240_001
    assert unknown.registers_per_thread == 255
    assert unknown.architecture == "unknown"


def test_figures_that_contradict_each_other_are_refused() -> None:
    figures = tuple(
        replace(figure, value=9000.0) if figure.name == "dram_bandwidth_gbs" else figure for figure in probe().figures
    )
    with pytest.raises(UsageError, match="dram_bandwidth_gbs"):
        sheet_toml(probe(figures=figures), load_gpu("h200"))


def test_a_strange_name_or_reason_does_not_break_the_file(written) -> None:
    name = 'A "GPU"\\ with\nlines and ü'
    gpu = written(probe(gpu=name, failures={"launches": 'it said "no"\x1b[31m'}), shipped=None)
    assert gpu.name == 'A "GPU"\\ with lines and ü'
    assert gpu.notes == ('not measured: launches: it said "no"',)


def test_the_table_sets_what_was_measured_beside_the_sheet() -> None:
    shipped = load_gpu("h200")
    rows = {row.name: row for row in beside(probe(), shipped)}
    known = {row.field: row.value for row in describe(shipped)}
    assert rows["dram_bandwidth_gbs"].difference == pytest.approx(4012.34567 / known["dram_bandwidth_gbs"] - 1)
    assert rows["tensor_tflops.bf16"].measured == 950.0
    assert rows["tensor_clock_mhz"].measured == 1755.0
    assert rows["plain_tflops.fp64"].shipped is None
    assert rows["mma_tflops.bf16"].difference is None
    assert [name for name in rows if name in FIELDS] == [name for name in FIELDS if name in rows]
