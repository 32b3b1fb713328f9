"""The benchmark that holds frameworks against the bound: resumable, one at a time, and honest about violations."""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import network_bounds
import network_bounds_page
from bound_networks import AUTOTUNED, BOUNDS
from network_bounds import AUTOTUNE, MODES, measure, requests, rounds_of
from network_bounds_page import Case, cases_of, text

ARGUMENTS = {"limit": 60.0, "processes": 3, "models": "", "networks": "", "dry_run": False}

#: Prepares, waits for its turn, and times nothing; a network called ``broken`` dies.
CHILD = """
import json, sys, time
request = json.loads(sys.argv[1])
print("warning: noise")
if request["model"].endswith("broken"):
    sys.exit(3)
print("ready", flush=True)
sys.stdin.readline()
begin = time.monotonic()
time.sleep(0.05)
end = time.monotonic()
for mode in request["modes"]:
    row = {"model": request["model"], "batch": request["batch"], "dtype": request["dtype"], "mode": mode}
    print(json.dumps({**row, "status": "ok", "median_us": 5.0, "iqr_us": 0.1, "span": [begin, end]}))
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "item.py"
    script.write_text(CHILD)
    monkeypatch.setattr(network_bounds, "ITEM", script)
    monkeypatch.setattr(network_bounds, "ROUND_S", 0.0)


def arguments(out: Path, **changed: Any) -> argparse.Namespace:
    return argparse.Namespace(out=str(out), **{**ARGUMENTS, **changed})


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / network_bounds.FILE).read_text().splitlines()]


def test_twelve_networks_two_batches_two_types_and_three_autotuned(tmp_path: Path) -> None:
    wanted = list(requests(arguments(tmp_path)))
    plain = {(r.model, r.batch, r.dtype) for r in wanted if r.modes == MODES}
    assert len(BOUNDS) >= 12
    assert len(plain) == len(BOUNDS) * 4
    assert [r.model.rpartition(":")[2] for r in wanted if AUTOTUNE in r.modes] == list(AUTOTUNED)


def test_each_network_is_timed_alone(child: None, tmp_path: Path) -> None:
    measure(arguments(tmp_path, networks="a,b,c"))
    spans = sorted({tuple(row["span"]) for row in rows(tmp_path)})
    assert len(rows(tmp_path)) == 3 * 4 * len(MODES)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))


def test_what_is_there_is_not_measured_again(child: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measure(arguments(tmp_path, networks="a"))
    before = rows(tmp_path)
    with (tmp_path / network_bounds.FILE).open("a") as file:
        file.write('{"model": "bound_networks:b", "ba')  # a run that was killed while it wrote
    measure(arguments(tmp_path, networks="a"))
    assert "dropping a line" in capsys.readouterr().out
    assert rows(tmp_path) == before


def test_a_network_that_dies_costs_itself(child: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measure(arguments(tmp_path, networks="a,broken"))
    assert {row["model"] for row in rows(tmp_path)} == {"bound_networks:a"}
    assert "broken" in capsys.readouterr().out


def test_no_round_is_begun_that_may_not_end_in_time(
    child: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(network_bounds, "ROUND_S", 100.0)
    measure(arguments(tmp_path, networks="a", limit=50.0))
    assert "stopping before round 1" in capsys.readouterr().out
    assert rows(tmp_path) == []


@pytest.mark.long
def test_a_rehearsal_on_the_cpu_goes_all_the_way(tmp_path: Path) -> None:
    measure(arguments(tmp_path, dry_run=True, limit=300.0))
    assert [row["mode"] for row in rows(tmp_path)] == ["eager", "compile"]
    assert all(row["median_us"] > 0 and row["kernels"] == [] for row in rows(tmp_path))


def test_autotuning_has_the_gpu_for_itself(tmp_path: Path) -> None:
    rounds = list(rounds_of(requests(arguments(tmp_path)), 5, set()))
    assert all(len(group) == 1 for group in rounds if AUTOTUNE in group[0].modes)
    assert all(len(group) <= 5 for group in rounds)


def run(mode: str, median_us: float, status: str = "ok", **more: Any) -> dict[str, Any]:
    row = {"model": "bound_networks:resnet18", "batch": 1, "dtype": "bf16", "mode": mode, "status": status}
    return {**row, "median_us": median_us, "kernels": [], **more}


def case(*runs: dict[str, Any]) -> Case:
    parts = (("3 of convolution + relu to 1x64", 80.0), ("1 of matvec to 1x10", 20.0))
    return Case("resnet18", 1, "bf16", 100.0, 1.0, {one["mode"]: one for one in runs}, parts)


def test_a_run_below_its_bound_is_named_with_its_kernels() -> None:
    kernels = [{"name": "triton_poi_fused|relu", "total_us": 61.0, "count": 3.0}]
    page = text([case(run(MODES[0], 300.0), run(MODES[2], 95.0, kernels=kernels))])
    assert "below their bound: 1 of 1" in page
    assert "0.95 below" in page
    assert "| `triton_poi_fused relu` | 3 | 61.0 |" in page
    assert "| 3 of convolution + relu to 1x64 | 80.0 |" in page


@pytest.mark.parametrize(("median_us", "broken"), [(97.9, True), (98.1, False), (200.0, False)])
def test_two_per_cent_are_the_stopwatchs_own(median_us: float, broken: bool) -> None:
    assert case(run(MODES[2], median_us)).is_broken is broken


def test_a_throttled_run_beats_nothing() -> None:
    only = case(run(MODES[2], 50.0, status="throttled"))
    assert only.ratio is None
    assert "throttled" in text([only])


def test_a_bound_is_that_of_the_same_layers(shared_models: Path) -> None:
    (found,) = cases_of([run(MODES[0], 900.0)], shared_models)
    assert found.network == "resnet18"
    assert 10.0 < found.fused_us < 900.0
    assert 0.0 <= found.measured_share <= 1.0
    assert sum(time_us for _, time_us in found.parts) == pytest.approx(found.fused_us, rel=1e-6)
    assert network_bounds_page.shown(found.runs[MODES[0]]) == "900"
