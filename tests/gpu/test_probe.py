"""On a GPU: what the probe measures is plausible beside the driver's figures and the bundled sheet."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headroom.gpu.detect import detect_gpu
from headroom.gpu.sheets import load_gpu

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("a_gpu")]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("probe")
    sheet, curves = folder / "mine.toml", folder / "curves.json"
    command = [sys.executable, "-m", "headroom", "gpus", "probe", "--out", sheet, "--json", curves]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(curves.read_text()), sheet


def test_every_answer_is_right_and_the_probe_is_quick(seen: tuple[dict[str, Any], Path]) -> None:
    assert seen[0]["failures"] == {}
    assert seen[0]["seconds"] < 60


def test_the_sheet_is_accepted(seen: tuple[dict[str, Any], Path]) -> None:
    gpu, known = load_gpu(seen[1]), detect_gpu()
    assert (gpu.sms, gpu.compute_capability) == (known.sms, known.compute_capability)
    assert gpu.sources["dram_bandwidth_gbs"].startswith("measured by headroom gpus probe")


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [
        ("clock_mhz", 0.9, 1.05),
        ("dram_bandwidth_gbs", 0.85, 1.25),
        ("l2_bandwidth_gbs", 0.4, 1.5),
        ("l1_bandwidth_gbs", 0.7, 1.15),
        ("shared_bandwidth_gbs", 0.8, 1.25),
        ("l1_latency_ns", 0.7, 1.6),
        ("dram_latency_ns", 0.6, 2.5),
        ("plain_tflops.fp32", 0.85, 1.05),
        ("tensor_tflops.bf16", 0.6, 1.15),
        ("launch_us", 0.2, 2.5),
    ],
)
def test_a_measured_figure_is_near_the_sheets(
    seen: tuple[dict[str, Any], Path], field: str, least: float, most: float
) -> None:
    rows = {row["name"]: row for row in seen[0]["rows"]}
    assert least <= rows[field]["measured"] / rows[field]["shipped"] <= most, rows[field]


def test_no_rate_is_above_what_the_clock_allows(seen: tuple[dict[str, Any], Path]) -> None:
    """A kernel that skipped work would be faster than its units: 1 % is the clock's own error."""
    values = {figure["name"]: figure["value"] for figure in seen[0]["figures"]}
    known = detect_gpu()
    for name in ("plain_tflops.fp32", "plain_tflops.fp16"):
        kind = name.partition(".")[2]
        assert values[name] <= 1.01 * known.plain_tflops[kind] * values["clock_mhz"] / known.clock_mhz
    assert values["dram_bandwidth_gbs"] <= values["dram_peak_gbs"]
    assert values["l1_bandwidth_gbs"] <= 1.01 * 128 * known.sms * values["clock_mhz"] / 1e3


def test_the_staircase_of_latency_has_steps(seen: tuple[dict[str, Any], Path]) -> None:
    values = {figure["name"]: figure["value"] for figure in seen[0]["figures"]}
    assert values["l1_latency_ns"] < values["l2_latency_ns"] < values["dram_latency_ns"]
    assert len(seen[0]["plateaus"]["load latency"]) >= 2
    assert values["dram_loaded_latency_ns"] > values["dram_idle_latency_ns"]
