"""Gradients that the stopwatch timed on an H200: no constant was fitted on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from headroom.gpu.sheets import load_gpu
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.predict.model import predict_layers
from headroom.predict.prediction import Prediction
from headroom.predict.table import predict_table

ROWS = json.loads((Path(__file__).parents[2] / "benchmarks" / "results" / "h200_gradients.json").read_text())["rows"]
H200 = load_gpu("h200")


def predicted(direction: str, is_strided: bool | None = None) -> list[tuple[float, Prediction]]:
    """Measured times and predictions."""
    found = []
    for row in ROWS:
        layer = Chain.from_json(json.loads(row["layers"])).layers[0]
        strided = max(layer.work.stride) > 1
        if layer.work.direction == direction and is_strided in (None, strided):
            prediction = predict_layers([layer], H200, DataType(row["dtype"]), l2_state=row["l2"])[0]
            found.append((row["time_us"], prediction))
    return found


@pytest.mark.parametrize(
    ("direction", "is_strided", "rows", "most_pct", "most_bias"),
    [("dgrad", False, 8, 8, 1.08), ("dgrad", True, 12, 16, 1.16), ("wgrad", None, 22, 12, 1.1)],
)
def test_gradients_are_predicted_by_constants_of_forward_kernels(
    direction: str, is_strided: bool | None, rows: int, most_pct: float, most_bias: float
) -> None:
    pairs = predicted(direction, is_strided)
    assert len(pairs) == rows
    logs = np.array([np.log(p.time_us / measured) for measured, p in pairs])  # type: ignore[operator]
    assert 100 * np.expm1(np.abs(logs).mean()) < most_pct
    assert np.abs(logs.mean()) < np.log(most_bias)


@pytest.mark.parametrize("direction", ["dgrad", "wgrad"])
def test_nine_of_ten_lie_inside_their_error_bars(direction: str) -> None:
    pairs = predicted(direction)
    inside = [abs(100 * (measured / p.time_us - 1)) <= p.error_pct for measured, p in pairs]  # type: ignore[operator]
    assert np.mean(inside) >= 0.85
    assert all(p.error_pct is not None and p.error_pct < 35 for _, p in pairs)


def test_an_input_gradient_of_longer_steps_multiplies_zeros_where_nothing_meets() -> None:
    shape = {"op": "conv2d", "direction": "dgrad", "n": 1, "r": 3, "s": 3, "padding": 1, "dtype": "bf16"}
    rows = [
        {**shape, "c": 256, "k": 512, "h": 14, "w": 14, "stride": 2},
        {**shape, "c": 256, "k": 512, "h": 14, "w": 14, "stride": 1},
    ]
    strided, unit = predict_table(rows, H200).answers.time_us
    assert strided == pytest.approx(unit, rel=0.1), "as many taps are walked, though a quarter of them meets anything"


def test_a_layer_and_its_row_in_a_table_have_one_gradient() -> None:
    for row in ROWS:
        layer = Chain.from_json(json.loads(row["layers"])).layers[0]
        work = layer.work
        gradient = work.direction == "dgrad"
        image, out = (work.out_size, work.in_channels) if gradient else (work.in_size, work.out_channels)
        cells = {
            "op": "conv2d", "direction": work.direction, "n": work.batch, "h": image[0], "w": image[1],
            "c": work.out_channels if gradient else work.in_channels, "k": out, "r": work.kernel[0],
            "s": work.kernel[1], "stride": work.stride[0], "padding": work.padding[0][0], "dtype": row["dtype"],
        }  # fmt: skip
        answers = predict_table([cells], H200, l2_state=row["l2"]).answers
        prediction = predict_layers([layer], H200, DataType(row["dtype"]), l2_state=row["l2"])[0]
        assert answers.time_us[0] == pytest.approx(prediction.time_us)
        assert answers.error_pct[0] == pytest.approx(prediction.error_pct)
