"""The benchmark of our kernels resumes, counts the layers it says, and runs through without a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import synapse_bounds
from headroom.graph.tensor import DataType
from synapse_kernels import DTYPES, dry_row, run
from synapse_layers import LAYERS, RUN, PaperLayer

SMALL = LAYERS[2]
ITEMS = [(SMALL, batch, DataType.FP32) for batch in (1, 2, 3)]
ABOUT = {"system": "one"}


def test_a_killed_run_resumes_where_it_stopped(tmp_path: Path) -> None:
    path, seen = tmp_path / "rows.jsonl", []

    def measure(layer: PaperLayer, batch: int, dtype: DataType) -> dict[str, Any]:
        if batch == 2 and not seen.count(2):
            seen.append(batch)
            raise KeyboardInterrupt
        seen.append(batch)
        return {"times_us": {}}

    with pytest.raises(KeyboardInterrupt):
        run(path, ITEMS, measure, ABOUT, float("inf"))
    path.write_text(path.read_text() + '{"network": "LeNe')
    assert run(path, ITEMS, measure, ABOUT, float("inf")) == 0
    assert seen == [1, 2, 2, 3]
    assert run(path, ITEMS, measure, {"system": "another"}, -1.0) == 3, "another machine's rows are not ours"
    assert len(path.read_text().splitlines()) == 3


def test_one_layer_runs_through_without_a_gpu() -> None:
    row = dry_row(SMALL)
    assert {"dense", "channel", "torch"} < set(row["times_us"])
    assert {name.split()[0] for name in row["times_us"]} == {"dense", "channel", "torch", "runs", "scattered", "whole"}


def test_selections_keep_the_share_they_say() -> None:
    layer = next(each for each in LAYERS if each.name == "conv3" and each.network == "AlexNet")
    runs, scattered = layer.retained(0.5, True), layer.retained(0.5, False)
    assert len(runs) == len(scattered) == layer.columns // 2
    channels, places = np.divmod(runs, 9)
    starts = set(zip((channels // RUN).tolist(), places.tolist(), strict=True))
    assert len(starts) * RUN == len(set(runs.tolist())) == len(runs)
    assert layer.with_channels(0.5).channels == 96


def test_chains_count_the_layers_multiply_adds() -> None:
    by_name = {(layer.network, layer.name): layer.chain(1).macs for layer in LAYERS}
    assert by_name["AlexNet", "conv1"] == 55 * 55 * 64 * 363
    assert by_name["AlexNet", "fc1"] == 9216 * 4096
    assert by_name["LeNet-5", "conv2"] == 100 * 16 * 150
    assert by_name["VGG16", "conv13"] == 2 * 2 * 512 * 512 * 9


def test_a_bound_is_no_shorter_than_work_or_bytes_take() -> None:
    rows = synapse_bounds.rows_of(LAYERS, (1, 128), DTYPES)
    assert len(rows) == len(LAYERS) * 2 * 3
    for row in rows:
        assert row.column_us > max(row.work_us, row.bytes_us)
        assert row.dense_us > 0
    alone = next(row for row in rows if (row.layer.name, row.batch, row.dtype) == ("fc1", 1, DataType.FP32))
    assert alone.bytes_us > alone.work_us, "one image's linear layer is bound by its weights"
