"""Layers as arrays: the same answers as a table's, a million of them in seconds."""

from __future__ import annotations

import time
from dataclasses import fields

import numpy as np
import pytest

from headroom.errors import ModelError
from headroom.gpu.sheets import load_gpu
from headroom.predict import table_columns
from headroom.predict.table import predict_table
from headroom.predict.table_columns import predict_columns

H200 = load_gpu("h200")


def convolutions(count: int) -> dict[str, object]:
    random = np.random.default_rng(3)
    choices = {
        "n": [1, 8, 32],
        "c": [3, 32, 64, 256],
        "h": [7, 14, 56],
        "k": [16, 96, 512],
        "r": [1, 3, 5],
        "stride": [1, 2],
    }
    pick = {name: random.choice(values, count) for name, values in choices.items()}
    same = {"w": pick["h"], "s": pick["r"], "padding": pick["r"] // 2}
    return {"op": "conv2d", **pick, **same, "direction": random.choice(["forward", "dgrad", "wgrad"], count)}


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_arrays_get_the_answers_of_a_table(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    monkeypatch.setattr(table_columns, "_ROWS_AT_ONCE", 100)
    columns = {**convolutions(350), "dtype": dtype}
    rows = [{name: v if isinstance(v, str) else v[i] for name, v in columns.items()} for i in range(350)]
    found, table = predict_columns(columns, H200), predict_table(rows, H200)
    assert list(found.errors) == list(table.errors)
    for field in fields(found.answers):
        assert (getattr(found.answers, field.name) == getattr(table.answers, field.name)).all(), field.name


def test_a_bad_value_costs_its_row_and_says_why() -> None:
    found = predict_columns({"op": ["matmul", "matmul", "mat"], "m": [1, -4, 2], "n": 1.5, "k": 3}, H200)
    assert found.errors[0] == "n is '1.5': give an integer from 1 to 2147483647"
    assert found.errors[1].startswith(("m is '-4'", "n is '1.5'"))
    assert found.errors[2].startswith("op is 'mat'")
    assert not found.answers.time_us.any()


def test_a_batch_of_convolutions_or_a_product_in_groups_is_not_answered_for_less_work() -> None:
    found = predict_columns({"op": ["conv2d", "matmul"], **dict.fromkeys("nchwkrsm", 1), "batch": 8, "groups": 4}, H200)
    assert found.errors == [
        "batch is 8, but conv2d has none: say it with n",
        "groups is 4, but matmul has none: say it with batch",
    ]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"m": [1]}, "no column op"),
        ({"op": "matmul", "rows": [1]}, "unknown column 'rows'"),
        ({"op": "matmul", "m": [1, 2], "n": [1, 2, 3]}, "different lengths: 2, 3"),
        ({"op": "matmul", "m": [[1, 2], [3, 4]]}, "different lengths"),
    ],
)
def test_columns_that_do_not_go_together_are_refused(columns: dict[str, object], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        predict_columns(columns, H200)


#: A million layers in five seconds on two cores; half as much again for a machine that does other things as well.
CORE_S_PER_LAYER = 1.5 * 2 * 5.0 / 1e6


@pytest.mark.alone
def test_a_million_layers_would_take_two_cores_five_seconds() -> None:
    """The choice among tensor-core tiles is the slowest sort there is; the least of five runs is the machine's own."""
    columns = {**convolutions(20_000), "direction": "forward", "dtype": "bf16"}
    spent = []
    for _ in range(5):
        start = time.process_time()
        predict_columns(columns, H200)
        spent.append(time.process_time() - start)
    assert min(spent) < 20_000 * CORE_S_PER_LAYER
