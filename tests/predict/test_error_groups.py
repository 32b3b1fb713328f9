"""How wide an error bar has to be, and which products share one."""

from __future__ import annotations

import numpy as np
import pytest

from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.predict.calibration import load_calibration
from headroom.predict.error_groups import BRIEF_US, DEEP, NARROW, holding, regimes_of
from headroom.predict.table import predict_table

V100 = load_gpu("v100-pcie-32gb")


def test_a_bar_counts_one_row_more_than_it_has_seen() -> None:
    assert holding(range(1, 20)) == 18.0
    assert holding(range(1, 11)) == 10.0
    assert holding([3.0]) == 3.0


def test_nine_of_ten_further_rows_lie_inside() -> None:
    generator = np.random.default_rng(0)
    shares = [
        np.mean(np.abs(generator.normal(size=500)) <= holding(np.abs(generator.normal(size=30)))) for _ in range(400)
    ]
    assert np.mean(shares) == pytest.approx(0.9, abs=0.01)


def test_rows_count_by_their_weight() -> None:
    distances = np.array([*[1.0] * 900, *[9.0] * 100])
    light = np.array([*[0.1] * 900, *[1.0] * 100])
    assert holding(distances[:950]) == 1.0
    assert holding(distances, light) == 9.0


def test_a_product_is_short_brief_or_long() -> None:
    time_us = np.array([5.0, BRIEF_US - 1.0, BRIEF_US])
    assert regimes_of(time_us, np.array([True, False, False])).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("narrow", {"m": NARROW, "n": 4096, "k": 4096}),
        ("deep", {"m": 4096, "n": 4096, "k": DEEP + 1}),
        ("batched", {"batch": 64, "m": 1024, "n": 1024, "k": 512}),
        ("matmul", {"m": 4096, "n": 4096, "k": 4096}),
    ],
)
def test_products_have_the_bar_of_their_kind(kind: str, size: dict[str, int]) -> None:
    (answer,) = predict_table([{"op": "matmul", "dtype": "fp32", **size}], V100).answers.error_pct
    calibration = load_calibration()
    bars = {name: calibration.error_pct(kind, "plain", V100, name, DataType.FP32, "warm") for name in ("brief", "long")}
    assert answer in bars.values()
    assert any(row.kind == kind and row.family == "volta" for row in calibration.errors)
