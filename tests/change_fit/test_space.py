"""The discrete space: few widths per group, their times without a run, and a search over them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import headroom as hr

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def space():
    return hr.width_space("change_fit.networks:plain", "h200", batch=128, source="predicted")


def test_each_group_has_few_candidates_between_the_bounds_and_its_own_width(space) -> None:
    assert set(space.candidates) == {"features.0", "features.3", "features.6"}
    for name, widths in space.candidates.items():
        own = space.present[name]
        assert own in widths
        assert len(widths) <= 24
        assert min(widths) >= own / 2
        assert max(widths) <= max(1.25 * own, own + 64)


def test_a_time_is_the_sum_of_the_tables_and_says_how_far_it_may_be_off(space) -> None:
    wider = {"features.0": 64}

    layers_us = [layer.at(space.network.widths).latency_us for layer in space.layers]
    assert space.time_us({}) == pytest.approx(space.fixed_us + sum(layers_us))
    assert space.time_us(wider) != space.time_us({})
    assert 0 < space.error_us(wider) < space.time_us(wider)


def test_what_is_no_candidate_is_refused_by_name(space) -> None:
    with pytest.raises(hr.UsageError, match="no width group called 'head' can be chosen; those are features"):
        space.time_us({"head": 12})
    with pytest.raises(hr.UsageError, match="measure that pair"):
        space.time_us({"features.0": 37})
    with pytest.raises(hr.UsageError, match="take least <= 1 <= most"):
        hr.width_space("nowhere:at_all", "h200", least=2.0)


def test_the_search_of_the_example_stays_within_its_budget() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "search_widths.py"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    drawn, found = (line for line in done.stdout.splitlines() if " parameters" in line)
    drawn_us, found_us = (float(line.split()[1 if "found" in line else 2]) for line in (drawn, found))
    assert found_us <= 0.8 * drawn_us + 1
