"""The scripts that count bytes on the GPU: rehearsed on a fake one, resumed, and their pages."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

import counted_layers
import h200_sensitivity
import h200_traffic
import traffic_fit
import traffic_page
import traffic_rows
from headroom.graph.tensor import DataType
from record import RESULTS

BF16 = DataType.BF16


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four rows of the traffic script, the run cut short after two and resumed."""
    out = tmp_path_factory.mktemp("rows")
    every = list(h200_traffic.points(BF16))
    before = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch, counted_layers.rehearsal():
        patch.setattr(counted_layers, "BATCH", 2)
        assert counted_layers.measure(every[:2], out, h200_traffic.NAME, 60.0) == 0
        with (out / f"{h200_traffic.NAME}.jsonl").open("a") as file:
            file.write('{"key": "cut sh')  # a kill in the middle of a line
        assert counted_layers.measure([*every[:2], *every[-2:]], out, h200_traffic.NAME, 60.0) == 0
    assert dict(os.environ) == before
    return out


def test_a_killed_run_resumes_where_it_stopped(rehearsed: Path) -> None:
    rows = counted_layers.rows_of(rehearsed / f"{h200_traffic.NAME}.jsonl")
    assert len(rows) == len({row["key"] for row in rows}) == 4
    assert all(row["reason"] == "" and row["time_us"] > 0 and row["l2"] == "cold" for row in rows)


def test_a_short_run_covers_every_group_evenly_and_always_alike() -> None:
    every = list(h200_traffic.points(BF16))
    order = counted_layers.in_turns(every)
    assert sorted(point.key for point in order) == sorted(point.key for point in every)
    assert order == counted_layers.in_turns(every)
    groups = [point.group for point in order[:40]]
    assert groups.count("convolution") == groups.count("matmul") == 20


def test_rows_name_the_kernels_that_ran(rehearsed: Path) -> None:
    rows = counted_layers.rows_of(rehearsed / f"{h200_traffic.NAME}.jsonl")
    assert all(row["kernels"] == ["made_up_kernel"] for row in rows)


def test_no_time_left_measures_nothing_and_says_what_is_left(tmp_path: Path) -> None:
    every = list(h200_traffic.points(BF16))[:3]
    with counted_layers.rehearsal():
        assert counted_layers.measure(every, tmp_path, "none", 0.0) == 3


def test_there_are_as_many_layers_as_the_table_needs() -> None:
    for dtype in (BF16, DataType.FP32):
        every = list(h200_traffic.points(dtype))
        assert len({point.key for point in every}) == len(every)
        groups = [point.group for point in every]
        assert groups.count("convolution") >= 60
        assert groups.count("matmul") >= 40
        large = [p for p in every if p.layer.bytes(dtype) >= 2 * traffic_rows.GPU.l2.size_bytes]
        assert len(large) >= 40


def test_the_page_judges_each_level_where_it_can_be(rehearsed: Path) -> None:
    rows = counted_layers.rows_of(rehearsed / f"{h200_traffic.NAME}.jsonl")
    hidden = {**rows[0], "l1_bytes": rows[0]["l2_bytes"] / 4}  # copies that pass by the counter
    every = list(h200_traffic.points(BF16))
    judged = traffic_rows.judged([hidden, *rows[1:], {"key": rows[0]["key"], "reason": "none"}], every)
    assert len(judged) == 4
    assert "l1" not in judged[0].chosen
    by_key = {point.key: point for point in every}
    for row in judged:
        footprint = by_key[row.row["key"]].layer.bytes(BF16)
        assert ("dram" in row.chosen) == (footprint >= 100 * 2**20)
        assert not row.known  # made-up implementations have no name that tells a kernel
    about = json.loads((rehearsed / f"{h200_traffic.NAME}.json").read_text())
    page = traffic_page.page(rows, every, about)
    assert "(2 of convolutions, 2 of products)" in page
    assert "Fake GPU" in page


def test_errors_are_geometric_means_of_factors_either_way() -> None:
    assert traffic_rows.gmae([2.0, 0.5]) == pytest.approx(100.0)
    assert traffic_rows.gmae([1.0, math.e**0.1]) == pytest.approx(100 * (math.exp(0.05) - 1))


def test_no_held_out_row_was_fitted_on() -> None:
    held_out = [
        p for p in [*h200_traffic.points(BF16), *h200_sensitivity.points(BF16)] if not traffic_rows.is_fitted(p)
    ]
    fitted = {point.key.rpartition(" ")[0] for _, point, _ in traffic_fit.rows_to_fit()}
    assert len(held_out) >= 60
    assert len(fitted) >= 40
    assert not fitted & {point.key.removesuffix(" bf16") for point in held_out}


def test_known_kernels_come_close_to_the_counters_and_closer_than_physics_alone() -> None:
    """All published rows, fitted and held out; a guard against losing what is reached, not the aims of the page."""
    points = [p for dtype in (BF16, DataType.FP32) for s in (h200_traffic, h200_sensitivity) for p in s.points(dtype)]
    rows = [
        row for s in (h200_traffic, h200_sensitivity) for row in counted_layers.rows_of(RESULTS / f"{s.NAME}.jsonl")
    ]
    judged = traffic_rows.judged(rows, points)
    for level, reached in {"l1": 5.5, "l2": 7.0, "dram": 5.0}.items():
        errors = traffic_rows.ratios_of(judged, level, lambda row: row.known)
        physics = traffic_rows.ratios_of(judged, level, lambda row: row.physics)
        assert len(errors) >= 60
        assert traffic_rows.gmae(errors) <= reached
        assert traffic_rows.gmae(errors) <= traffic_rows.gmae(physics)


def test_without_counters_nothing_is_passed_off_as_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headroom.measure.counters.client import Count

    monkeypatch.setattr(counted_layers, "count", lambda subjects, gpu: Count((), "no privilege"))
    with counted_layers.rehearsal(), pytest.raises(SystemExit, match="nothing was counted: no privilege"):
        counted_layers.measure(list(h200_traffic.points(BF16))[:1], tmp_path, "none", 60.0)
    assert not (tmp_path / "none.jsonl").exists()


def test_sweeps_are_drawn_with_their_measured_points() -> None:
    keys = [point.key for point in h200_sensitivity.points(BF16)]
    assert 30 <= len(keys) <= 50
    row = {"key": keys[0], "group": "output channels", "dtype": "bf16", "time_us": 20.0, "l1_bytes": 3e7}
    row |= {"l2_bytes": 2e7, "dram_bytes": 1e7}
    files = h200_sensitivity.chart_files([row])
    assert files["sensitivity-bf16-time.svg"].count("<circle") == 1
    assert files["sensitivity-bf16-traffic.svg"].count("<circle") == 3
    assert "<circle" not in files["sensitivity-fp32-time.svg"]
    assert "not measured yet" in h200_sensitivity.page([], {})
