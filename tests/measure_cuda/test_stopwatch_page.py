"""The page about the stopwatch states the constants that the stopwatch has."""

from __future__ import annotations

import re
from pathlib import Path

from headroom.measure.cuda.pace import LONG_LAUNCH_US, PRECISE, QUICK
from headroom.measure.cuda.reference import TOLERANCES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "stopwatch.md").read_text("utf-8")


def test_the_tolerances_are_those_that_are_applied() -> None:
    stated = re.findall(r"^\| (\w+) \| ([\d.]+) \|", PAGE, flags=re.MULTILINE)
    assert {name: float(value) for name, value in stated} == {str(d): value for d, value in TOLERANCES.items()}


def test_the_lengths_of_samples_are_those_that_are_aimed_at() -> None:
    assert f"{QUICK.sample_us:.0f} µs for a quick reading" in PAGE
    assert f"{PRECISE.sample_us / 1000:.1f} ms for a precise one" in PAGE
    assert f"Of launches over {LONG_LAUNCH_US / 1000:.0f} ms exactly ten" in PAGE
