"""The scripts that measure staircases for real run through on a GPU that is not there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from headroom.measure.fake_script import VARIABLE

ROOT = Path(__file__).resolve().parents[3]


def test_the_sweep_of_30_layers_runs_through_dry() -> None:
    script = ROOT / "benchmarks" / "staircases.py"
    ran = subprocess.run([sys.executable, script, "--dry-run"], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert "Of 2 layers measured at every width 2 have a mean regret of at most 1 %" in ran.stdout
    assert "114 widths measured" in ran.stdout
    assert ", 0 left" in ran.stdout


def test_a_sweep_whose_time_is_over_ends_by_itself_and_says_what_is_left() -> None:
    variables = {**os.environ, VARIABLE: "fake:" + json.dumps({"plans": 2, "plan_s": 1.0})}
    command = [sys.executable, ROOT / "benchmarks" / "tail_effect.py", "--dry-run", "--budget", "12"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, env=variables)
    assert ran.returncode == 0, ran.stderr
    left = re.search(r"tail_effect:FEW: (\d+) widths measured in (\d+) s on 2 GPUs, (\d+) left", ran.stdout)
    assert left is not None, ran.stdout
    assert int(left[1]) + int(left[3]) == 24
    assert int(left[3]) > 0


def test_there_are_30_distinct_layers_to_sweep() -> None:
    code = "from staircase_layers import CASES; print(len({(each.subject.layer, each.dtype) for each in CASES}))"
    folder = ROOT / "benchmarks"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, timeout=60)
    assert ran.stdout.strip() == "30", ran.stderr
