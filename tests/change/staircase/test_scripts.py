"""The scripts that measure staircases for real run through on a GPU that is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_sweep_of_30_layers_runs_through_dry() -> None:
    script = ROOT / "benchmarks" / "staircases.py"
    ran = subprocess.run([sys.executable, script, "--dry-run"], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert "2 of 2 layers have a mean regret of at most 1 %" in ran.stdout
    assert "0 left" in ran.stdout


def test_there_are_30_distinct_layers_to_sweep() -> None:
    code = "from staircase_layers import CASES; print(len({(each.subject.layer, each.dtype) for each in CASES}))"
    folder = ROOT / "benchmarks"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, timeout=60)
    assert ran.stdout.strip() == "30", ran.stderr
