"""A run under another layout: rows for convolutions, PyTorch's own prices for the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import batch_norm, conv, graph, layer, relu, timed
from executions import Scene
from headroom.advise.channels_last import CONVERSION_US, channels_last_costs_us, converts, in_layout_us, slow_pool_us
from headroom.advise.choices import Choices, Setting
from headroom.advise.settings import Layout, changed_to, layout_of
from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.work import Movement, Pooling
from headroom.store.rows import Implementation
from measured_rows import Rows, row

CONV = conv("c", "x")
POOL = replace(relu("p", "c"), work=Pooling("max", 64 * 28 * 28, (3, 3), (2, 2)))
MODEL = graph(CONV, POOL)
NHWC = Setting("nhwc")


def choices(nchw_us: float, nhwc_us: float) -> Choices:
    rows = [
        row(time_us, implementation=Implementation("torch", "conv2d", layout))
        for time_us, layout in ((nchw_us, "nchw"), (nhwc_us, "nhwc"))
    ]
    return Choices.read(timed(MODEL, 10.0, 10.0), Rows(others_tried={Chain.of([CONV]).digest: rows}))


def ran(pool: str, conv_us: float = 100.0) -> Scene:
    return Scene(MODEL, host_us=1.0).run("c", ("conv", conv_us)).run("p", (pool, 4.0))


def test_the_layout_is_told_by_names_and_else_by_which_rows_fit() -> None:
    known = choices(100.0, 50.0)
    assert layout_of(ran("max_pool_forward_nhwc").recorded(), known) is Layout.NHWC
    assert layout_of(ran("max_pool_forward_nchw").recorded(), known) is Layout.NCHW
    assert layout_of(ran("pool", conv_us=55.0).recorded(), known) is Layout.NHWC
    assert layout_of(ran("pool", conv_us=98.0).recorded(), known) is Layout.NCHW


def test_a_convolution_follows_its_rows_and_a_pool_pays() -> None:
    run = ran("max_pool_forward_nchw").recorded()
    change = changed_to(run, choices(80.0, 40.0), NHWC)
    assert change.gpu_us[0] == pytest.approx(50.0)
    assert change.gpu_us[1] == pytest.approx(slow_pool_us(POOL))
    assert changed_to(run, choices(80.0, 40.0), Setting("nchw")).gpu_us == {}


def test_pooling_s_price_grows_with_its_windows_only_when_there_are_many() -> None:
    def of(outputs: int) -> float:
        return slow_pool_us(replace(POOL, work=Pooling("max", outputs, (3, 3), (2, 2)))) or 0.0

    assert of(50_000) == pytest.approx(of(5_000), rel=0.05)
    assert of(6_400_000) == pytest.approx(111.0, rel=0.05)


def test_a_convolution_behind_a_shuffle_converts_and_one_behind_a_convolution_does_not() -> None:
    work = Movement("transpose", 64 * 56 * 56, axes=(0, 2, 1, 3, 4))
    shuffled = graph(conv("a", "x"), layer("s", work, ["a"]), conv("b", "s", channels=32))
    assert [converts(shuffled, index) for index in range(3)] == [False, False, True]
    model = timed(shuffled, *[10.0 for _ in shuffled.configurations])
    assert channels_last_costs_us(model) == (pytest.approx(CONVERSION_US[1]), 0.0)


def test_a_small_batch_norm_is_longer_in_channels_last_and_one_of_many_planes_is_shorter() -> None:
    small, large = (reshaped(batch_norm("n", "x"), shape) for shape in ((1, 64, 14, 14), (32, 2048, 7, 7)))
    assert (in_layout_us(small, 2.0, 2, nhwc=True) or 0.0) > 2.0
    # Recorded: 40.7 us in NCHW, 5.5 us in NHWC, in bf16.
    assert in_layout_us(large, 40.7, 2, nhwc=True) == pytest.approx(5.5, rel=0.2)
    assert in_layout_us(large, in_layout_us(large, 40.7, 2, nhwc=True) or 0.0, 2, nhwc=False) == pytest.approx(40.7)
    assert in_layout_us(relu("r", "x"), 2.0, 2, nhwc=True) is None


def test_concatenation_leaves_its_vectorised_kernel_in_channels_last() -> None:
    joined = layer("c", Movement("concat", 64 * 56 * 56), ["x"])
    assert in_layout_us(joined, 12.0, 2, nhwc=True) == pytest.approx(29.5, rel=0.1)
    assert in_layout_us(joined, 1.2, 2, nhwc=True) == pytest.approx(1.2)


def reshaped(described: Layer, shape: tuple[int, ...]) -> Layer:
    return replace(described, outputs=(replace(described.outputs[0], shape=shape),))
