"""Pooling whose kernel takes many times the fastest that was measured, and what channels_last costs there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import conv, graph, relu, timed
from executions import Scene
from headroom.advise.analysis import Finding
from headroom.advise.channels_last import told_costs
from headroom.advise.questions.losses.pooling import slow_pooling
from headroom.advise.recorded import Recorded
from headroom.advise.savings import saving
from headroom.advise.timed import TimedGraph
from headroom.advise.timelines import Change
from headroom.graph.work import Pooling
from headroom.predict.prediction import Source

POOL = replace(relu("p", "c", module="stem.pool"), work=Pooling("max", 64 * 28 * 28, (3, 3), (2, 2)))
MODEL = graph(conv("c", "x"), POOL, relu("r", "p"))


def measured(pool_us: float, source: Source = Source.MEASURED) -> TimedGraph:
    model = timed(MODEL, 30.0, pool_us, 1.0)
    return replace(model, predictions=tuple(replace(each, source=source) for each in model.predictions))


def run_of(model: TimedGraph, pooled_us: float = 25.0, host_us: float = 1.0) -> Recorded:
    built = Scene(MODEL, host_us=host_us).run("c", ("conv", 60.0)).run("p", ("max_pool_forward_nhwc", pooled_us))
    found = Recorded.of(built.run("r", ("relu", 2.0)).case(model))
    assert found is not None
    return found


def finding(run: Recorded) -> Finding:
    (one,) = slow_pooling(run)
    return one


def test_a_pooling_kernel_many_times_slower_than_the_fastest_measured_is_found() -> None:
    found = finding(run_of(measured(2.0)))
    assert found.saves_us == pytest.approx(23.0)
    assert found.layers == ("p",)
    assert "take 25.0 µs of the GPU's time, the fastest that were measured 2.00 µs" in found.action
    assert "slow in channels_last" in found.action


def test_one_that_is_nearly_as_fast_as_the_fastest_or_beside_a_prediction_is_not() -> None:
    assert not list(slow_pooling(run_of(measured(10.0))))
    assert not list(slow_pooling(run_of(measured(2.0, Source.PREDICTED))))


def test_the_saving_of_a_kernel_that_the_host_hides_lies_beyond_a_cuda_graph() -> None:
    run = run_of(measured(2.0), host_us=400.0)
    found = finding(run)
    assert run.timelines.saves_us(Change(gpu_us={1: 2.0})) == 0.0
    assert found.saves_us == pytest.approx(23.0)
    assert "beyond a CUDA graph; without one your run may gain nothing, as the host needs 1.20 ms" in found.action


def test_a_run_that_is_replayed_already_is_told_of_no_graph() -> None:
    run = run_of(measured(2.0))
    assert not saving(run, Change(gpu_us={1: 2.0}), 1.0).beyond_graph


def test_the_code_compiles_the_named_modules_in_their_places() -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential()
    model.add_module("stem", torch.nn.Sequential())
    model.stem.add_module("pool", torch.nn.MaxPool2d(3))
    code = finding(run_of(measured(2.0))).code
    exec(code, {"torch": torch, "model": model})
    assert isinstance(model.stem.pool, torch._dynamo.eval_frame.OptimizedModule)


def test_what_channels_last_costs_is_said_with_pooling_s_part() -> None:
    assert told_costs(61.3, 61.3) == (
        "PyTorch's own pooling takes 61 µs more of the GPU's time in channels_last, which is taken off"
    )
    assert "take 290 µs more of the GPU's time in channels_last (260 µs of it pooling)" in told_costs(292.0, 261.0)
    assert "take no more of the GPU's time" in told_costs(0.0, 0.0)
