"""On a GPU: the stopwatch is right, and a lost context costs a worker and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headroom.measure.jobs import run_job
from headroom.measure.selftest import DURATIONS_US

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("a_gpu")]


def test_kernels_of_known_duration_are_read_within_the_promise(tmp_path: Path) -> None:
    out = tmp_path / "seen.json"
    command = [sys.executable, "-m", "headroom", "selftest", "--json", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(out.read_text())
    assert seen["passed"] is True
    assert len(seen["durations"]) == 2 * len(DURATIONS_US)
    for duration in seen["durations"]:
        error_us = abs(duration["read_us"] - duration["known_us"])
        assert error_us <= max(0.025 * duration["known_us"], 8.0), duration
    assert min(duration["known_us"] for duration in seen["durations"]) < 60
    assert max(duration["known_us"] for duration in seen["durations"]) > 9000


def test_a_write_to_an_illegal_address_is_noticed_and_the_next_worker_is_well() -> None:
    lost = run_job("poison", {})
    assert lost["noticed"], lost["reason"]
    begin = time.monotonic()
    assert run_job("selftest", {})["durations"]
    assert time.monotonic() - begin < 120
