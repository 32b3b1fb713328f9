"""A sheet with derived bandwidths makes error bars wider where they limit; a measured one does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import relu
from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.predict.model import predict_layers
from headroom.predict.prediction import Bottleneck
from headroom.predict.sheet_doubt import widened
from headroom.predict.table import predict_table

BOARD = load_gpu("rtx-4090")
PROBED = replace(BOARD, derived=frozenset())
LARGE = relu("r", "x", (64, 512, 128, 128))


def test_a_probed_sheet_narrows_the_bar_of_what_its_bandwidths_limit() -> None:
    assert {"l2_bandwidth_gbs", "dram_bandwidth_gbs"} <= BOARD.derived
    derived, probed = (predict_layers([LARGE], gpu, DataType.FP32)[0] for gpu in (BOARD, PROBED))
    assert derived.bottleneck is Bottleneck.DRAM
    assert derived.time_us == probed.time_us
    assert derived.error_pct == pytest.approx((probed.error_pct**2 + 14.0**2) ** 0.5)


def test_what_arithmetic_limits_is_as_sure_with_either_sheet() -> None:
    row = {"op": "matmul", "m": 8192, "n": 8192, "k": 8192, "dtype": "bf16"}
    derived, probed = (predict_table([row], gpu).answers for gpu in (BOARD, PROBED))
    assert derived.bottleneck[0] == Bottleneck.COMPUTE
    assert derived.error_pct[0] == probed.error_pct[0]


@pytest.mark.parametrize(
    "row", [{"op": "matmul", "m": 1, "n": 8192, "k": 8192}, {"op": "matmul", "m": 64, "n": 8192, "k": 8192}]
)
def test_table_and_layers_are_widened_alike(row: dict[str, object]) -> None:
    derived, probed = (predict_table([{**row, "dtype": "bf16"}], gpu).answers for gpu in (BOARD, PROBED))
    limit = Bottleneck(str(derived.bottleneck[0]))
    assert derived.error_pct[0] == pytest.approx(widened(probed.error_pct[0], limit, BOARD))


def test_doubt_adds_as_independent_errors_do() -> None:
    assert widened(5.0, Bottleneck.DRAM, BOARD) == pytest.approx(221**0.5)
    assert widened(5.0, Bottleneck.LAUNCH, BOARD) == 5.0
