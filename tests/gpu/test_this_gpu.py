"""On a machine with a GPU: it is recognised, and the command line needs no --gpu."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from headroom.gpu.detect import detect_gpu

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "resnet50.onnx"

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("a_gpu")]


def test_this_gpus_sheet_agrees_with_its_driver() -> None:
    pynvml = pytest.importorskip("pynvml")
    sheet = detect_gpu()
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    assert sheet.memory_bytes == pytest.approx(pynvml.nvmlDeviceGetMemoryInfo(handle).total, rel=0.02)
    assert sheet.clock_mhz == pytest.approx(pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM), rel=0.02)
    assert sheet.compute_capability == ".".join(map(str, pynvml.nvmlDeviceGetCudaComputeCapability(handle)))


def test_analyze_finds_the_gpu_by_itself(tmp_path: Path) -> None:
    out = tmp_path / "answer.json"
    command = [sys.executable, "-m", "headroom", "analyze", EXAMPLE, "--quiet", "--json", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(out.read_text())["gpu"] == detect_gpu().id
