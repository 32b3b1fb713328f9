"""The calibration file and the error bars it gives."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from headroom.gpu.sheets import load_gpu
from headroom.predict.calibration import BLIND_ERROR_PCT, UNLIKE_FACTOR, load_calibration
from headroom.predict.table import predict_table

V100, H200, A100 = load_gpu("v100-pcie-32gb"), load_gpu("h200"), load_gpu("a100-80gb-sxm")


def test_the_file_names_its_script_its_date_and_its_sources() -> None:
    text = resources.files("headroom.predict").joinpath("calibration.json").read_text()
    data = json.loads(text)
    assert data["written_by"] == "benchmarks/calibrate.py"
    assert len(data["date"]) == 10
    assert "NeuSight conv" in data["sources"]


def test_the_constants_are_shared_except_for_a_family_s_efficiency() -> None:
    plain = load_calibration().plain
    assert set(plain.efficiency) == {"pascal", "volta", "turing", "typical"}
    assert all(0.5 < value < 1.1 for value in plain.efficiency.values())


def test_a_layer_with_a_table_has_its_table_s_bar() -> None:
    calibration = load_calibration()
    row = next(r for r in calibration.errors if (r.kind, r.unit, r.family) == ("convolution", "plain", "volta"))
    assert calibration.error_pct("convolution", "plain", V100, row.regime) == row.error_pct


def test_a_layer_unlike_any_calibrated_one_has_a_wider_bar() -> None:
    calibration = load_calibration()
    own = calibration.error_pct("matmul", "tensor", A100, "long")
    other_family = calibration.error_pct("matmul", "tensor", H200, "long")
    other_kind = calibration.error_pct("convolution", "tensor", A100, "long")
    assert other_family > own
    assert other_kind == pytest.approx(UNLIKE_FACTOR * own)
    assert calibration.error_pct("movement", "plain", H200, "long") > calibration.error_pct(
        "elementwise", "plain", V100, "long"
    )


def test_without_any_relative_the_bar_is_blind() -> None:
    assert replace(load_calibration(), errors=()).error_pct("convolution", "plain", V100, "long") == BLIND_ERROR_PCT


def test_the_published_share_of_rows_inside_the_bars_is_about_four_of_five() -> None:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "accuracy.json"
    rows = [
        r for r in json.loads(path.read_text())["coverage"] if r["source"] in ("NeuSight conv", "aiconfigurator bf16")
    ]
    assert len(rows) == 5
    assert all(0.75 <= row["inside_share"] <= 0.95 for row in rows)


def test_a_table_s_bars_are_never_confident_about_an_uncalibrated_gpu() -> None:
    row = {"op": "conv2d", "n": 8, "c": 64, "h": 56, "w": 56, "k": 128, "r": 3, "s": 3, "dtype": "bf16"}
    assert predict_table([row], H200).answers.error_pct[0] >= 25
