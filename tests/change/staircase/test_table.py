"""The table over both widths: predicted for any sheet, measured where the database has rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headroom.advise.stored import StoredMeasurements
from headroom.change.widths.staircase.layers import at_widths
from headroom.change.widths.staircase.points import measured_point
from headroom.change.widths.staircase.spec import parse_conv
from headroom.change.widths.staircase.table import usual_step, width_table
from headroom.errors import UsageError
from headroom.gpu.sheets import load_gpu, sheet_ids
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.predict.prediction import Source
from headroom.store.rows import Implementation, Kernel, Status, Sweep, System, Timing
from headroom.store.several import Stores
from headroom.store.store import Store

SYSTEM = System("NVIDIA H200", "580.1", "13.0", "9.19", "13.1", "2.11")
LAYER = parse_conv("c=512,h=64,w=64,k=512").layer
H200 = load_gpu("h200")
WIDTHS = (64, 128, 192, 256)


def _row(median_us: float, **changes: object) -> Timing:
    kernel = Kernel("k_128x128", (132, 1, 1), (256, 1, 1), tile=(128, 128, 64))
    row = Timing(
        Implementation("cudnn", "eng22", "nhwc"), "warm", Status.OK, median_us=median_us, iqr_us=0.1, samples=20,
        kernels=(kernel,),
    )  # fmt: skip
    return replace(row, **changes)  # type: ignore[arg-type]


@pytest.fixture
def measurements(tmp_path: Path) -> StoredMeasurements:
    """Times of three widths, one of which is not on the grid, and a failure."""
    with Store.open(tmp_path / "m.sqlite") as store:
        for width, row in {128: _row(15.6), 160: _row(21.6), 256: _row(17.6)}.items():
            _record(store, width, row)
        _record(store, 192, replace(_row(0.0), status=Status.FAILED, median_us=None, iqr_us=None, samples=0))
    stores = Stores([Store.open(tmp_path / "m.sqlite", read_only=True)])
    return StoredMeasurements(stores, SYSTEM)


def _record(store: Store, width: int, row: Timing) -> None:
    store.record(Sweep(SYSTEM, Chain.of([at_widths(LAYER, width)]), DataType.BF16, "all", (row,), 0.1))


def test_a_table_has_a_point_for_every_pair() -> None:
    table = width_table(LAYER, H200, DataType.BF16, WIDTHS, (256, 512))
    assert [curve.fixed for curve in table.staircases] == [256, 512]
    for into in (256, 512):
        for out in WIDTHS:
            point = table.at(into, out)
            assert point is not None
            assert point.source is Source.PREDICTED
            assert point.flops == at_widths(LAYER, out, into).flops
    assert table.at(384, 64) is None
    narrow, wide = table.at(256, 256), table.at(512, 256)
    assert narrow is not None
    assert wide is not None
    assert narrow.latency_us < wide.latency_us


@pytest.mark.parametrize("gpu", sheet_ids()[::6])
def test_every_sheet_has_a_staircase(gpu: str) -> None:
    curve = width_table(LAYER, load_gpu(gpu), DataType.FP32, range(32, 257, 32)).staircases[0]
    for point in curve.points:
        assert point.latency_us > 0
        assert point.utilisation is None or 0 < point.utilisation <= 1
        assert point.waves is None or point.waves >= 1


def test_measured_rows_replace_predictions_and_scale_those_between(measurements: StoredMeasurements) -> None:
    curve = width_table(LAYER, H200, DataType.BF16, WIDTHS, measurements=measurements).staircases[0]
    shown = {point.width: (point.source, point.latency_us) for point in curve.points}
    assert shown[128] == (Source.MEASURED, 15.6)
    assert shown[160] == (Source.MEASURED, 21.6)
    assert shown[256] == (Source.MEASURED, 17.6)
    assert shown[192][0] is Source.INTERPOLATED
    assert 17.6 <= shown[192][1] <= 21.7
    assert curve.points[1].implementation.startswith("cudnn eng22")


def test_only_measured_widths_where_only_those_are_wanted(measurements: StoredMeasurements) -> None:
    curve = width_table(LAYER, H200, DataType.BF16, WIDTHS, measurements=measurements, source="measured").staircases[0]
    assert [point.width for point in curve.points] == [128, 160, 256]
    with pytest.raises(UsageError, match="no width of convolution was measured on H200 SXM"):
        width_table(LAYER, H200, DataType.FP16, WIDTHS, measurements=measurements, source="measured")


def test_predictions_alone_where_only_those_are_wanted(measurements: StoredMeasurements) -> None:
    predicted = width_table(LAYER, H200, DataType.BF16, WIDTHS, measurements=measurements, source="predicted")
    assert predicted == width_table(LAYER, H200, DataType.BF16, WIDTHS)


def test_a_persistent_kernel_s_waves_are_counted_in_tiles() -> None:
    """A grid of 132 CTAs on 132 SMs says nothing: 64x64 positions in tiles of 128 are 32, times two of 128 filters."""
    point = measured_point(256, at_widths(LAYER, 256), _row(17.6), H200)
    assert (point.ctas, point.waves) == (64, 1)
    assert point.utilisation == pytest.approx(64 / 132)


def test_a_kernel_without_a_known_tile_is_counted_by_its_grid() -> None:
    row = _row(17.6, kernels=(Kernel("k", (100, 2, 1), (256, 1, 1)), Kernel("small", (4, 1, 1), (32, 1, 1))))
    point = measured_point(256, at_widths(LAYER, 256), row, H200)
    assert (point.ctas, point.waves) == (200, 2)
    assert measured_point(256, LAYER, _row(17.6, kernels=()), H200).utilisation is None


def test_short_and_noisy_rows_say_that_they_are_less_sure() -> None:
    layer = at_widths(LAYER, 256)
    assert measured_point(256, layer, _row(100.0), H200).noise_pct == 1.5
    assert measured_point(256, layer, _row(10.0), H200).noise_pct == 3.0
    assert measured_point(256, layer, _row(100.0, iqr_us=25.0, samples=16), H200).noise_pct > 5


def test_grouped_convolutions_have_the_widths_that_their_groups_divide() -> None:
    layer = parse_conv("c=64,h=8,w=8,k=64,groups=16").layer
    curve = width_table(layer, H200, DataType.BF16, range(8, 65, 8)).staircases[0]
    assert [point.width for point in curve.points] == [16, 32, 48, 64]
    with pytest.raises(UsageError, match="multiple of its 16 groups"):
        width_table(layer, H200, DataType.BF16, (8, 24))


def test_a_depthwise_layer_has_one_staircase_over_both_widths() -> None:
    layer = parse_conv("c=1,h=8,w=8,k=64,groups=c").layer
    table = width_table(layer, H200, DataType.BF16, (32, 64), (8, 16))
    assert len(table.staircases) == 1
    assert table.at(64, 64) == table.staircases[0].points[1]


def test_the_usual_step_is_what_sixteen_bytes_hold() -> None:
    assert [usual_step(dtype) for dtype in (DataType.BF16, DataType.TF32, DataType.FP8, DataType.FP32)] == [8, 4, 16, 1]


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(UsageError, match="choose auto, measured, predicted"):
        width_table(LAYER, H200, DataType.BF16, WIDTHS, source="guess")
