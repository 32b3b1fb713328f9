"""The accuracy that is published, worked out again from the measured table through the public bulk call."""

from __future__ import annotations

import csv
import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from headroom.gpu.sheets import load_gpu
from headroom.predict.table import predict_table
from predict.fitted import scaled_error

IM2COL = re.compile(r"scudnn_(\d+)x(\d+)")
OTHERS = re.compile("winograd|fft|gcgemm")

#: What a source may add to each of its rows.
PLAUSIBLE_CONSTANTS_US = np.linspace(-100, 400, 251)


def im2col_rows(shared_data: Path, gpu: str, *, tiles: bool) -> tuple[list[dict[str, object]], np.ndarray]:
    """NeuSight's im2col convolutions on ``gpu`` and their times in us."""
    rows, times = [], []
    with gzip.open(shared_data / "tables" / "neusight_conv.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            tile = IM2COL.search(row["kernel"])
            if row["gpu"] != gpu or tile is None or OTHERS.search(row["kernel"]):
                continue
            layer: dict[str, object] = {
                "op": "conv2d", "n": row["B"], "c": row["c_in"], "h": row["hw"], "w": row["hw"], "k": row["c_out"],
                "r": 3, "s": 3, "stride": row["stride"], "padding": row["pad"], "dtype": "fp32",
            }  # fmt: skip
            if tiles:
                layer |= {"tile_m": tile[1], "tile_n": tile[2]}
            rows.append(layer)
            times.append(1e3 * float(row["latency_ms"]))
    return rows, np.array(times)


@pytest.mark.parametrize("tiles", [True, False], ids=["tile given", "tile chosen"])
@pytest.mark.parametrize(
    ("gpu", "sheet", "target"),
    [
        ("Tesla V100-PCIE-32GB", "v100-pcie-32gb", 0.12),
        ("Tesla P100-PCIE-16GB", "p100-pcie", 0.19),
        ("Tesla T4", "t4", 0.14),
    ],
)
def test_im2col_convolutions_are_predicted_better_than_the_target(
    shared_data: Path, gpu: str, sheet: str, target: float, tiles: bool
) -> None:
    rows, measured = im2col_rows(shared_data, gpu, tiles=tiles)
    predicted = predict_table(rows, load_gpu(sheet)).answers.time_us
    assert scaled_error(predicted, measured, PLAUSIBLE_CONSTANTS_US) < target


PASSES = {"forward": "fwd_ms", "dgrad": "bwd_input_ms", "wgrad": "bwd_weight_ms"}


def deepbench_rows(shared_data: Path, gpu: str, direction: str) -> tuple[list[dict[str, object]], np.ndarray]:
    """DeepBench's convolutions that are likely im2col, and their times in us."""
    rows, times = [], []
    with (shared_data / "tables" / "deepbench_conv.csv").open() as file:
        for row in csv.DictReader(file):
            r, s, step = (int(row[name]) for name in ("R_filter_h", "S_filter_w", "stride_h"))
            transformed = step == 1 and max(r, s) >= 3
            if row["gpu"] != gpu or row["precision"] != "fp32" or transformed or int(row["C"]) < 8:
                continue
            if step != int(row["stride_w"]) or not row[PASSES[direction]].replace(".", "").isdigit():
                continue
            rows.append(
                {
                    "op": "conv2d", "direction": direction, "n": row["N"], "c": row["C"], "h": row["H"], "w": row["W"],
                    "k": row["K"], "r": r, "s": s, "stride": step, "padding": f"{row['pad_h']}x{row['pad_w']}",
                    "dtype": "fp32",
                }
            )  # fmt: skip
            times.append(1e3 * float(row[PASSES[direction]]))
    return rows, np.array(times)


@pytest.mark.parametrize("direction", ["forward", "dgrad", "wgrad"])
@pytest.mark.parametrize(
    ("gpu", "sheet"),
    [("NV_TitanXp", "titan-xp"), ("NV_P100", "p100-pcie"), ("NV_1080Ti", "gtx-1080-ti"), ("NV_M40", "m40")],
)
def test_all_three_passes_are_predicted_within_a_sixth_on_gpus_seen_and_unseen(
    shared_data: Path, gpu: str, sheet: str, direction: str
) -> None:
    rows, measured = deepbench_rows(shared_data, gpu, direction)
    assert len(rows) == 52
    predicted = predict_table(rows, load_gpu(sheet)).answers.time_us
    assert scaled_error(predicted, measured, PLAUSIBLE_CONSTANTS_US) < 0.15
