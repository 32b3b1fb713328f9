"""Question 8: what the libraries cover, and whether the model waits for the host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from advise.cases import case_of
from builders import H200, conv, graph, layer, relu
from headroom.advise.analyze import analyze_graph
from headroom.advise.execution import Execution, LayerRun
from headroom.advise.questions.answer import Table
from headroom.advise.questions.share import share
from headroom.graph.tensor import DataType
from headroom.graph.work import Movement
from headroom.measure.profiles.profile import Call, Launch, LaunchKind, Profile, Step
from headroom.predict.prediction import Source
from headroom.store.rows import Implementation, Kernel
from measured_rows import Rows, row, run, timings

CONV, RELU = conv("c", "x"), relu("r", "c")
MODEL = graph(CONV, RELU)
CUDNN = Kernel("sm90_xmma_fprop_implicit_gemm_bf16bf16_cudnn", (1, 1, 1), (128, 1, 1))
TRITON = Kernel("triton_poi_fused_relu_0", (1, 1, 1), (128, 1, 1))


def measured(*runs: object) -> Rows:
    compiled = row(5.0, kernels=(TRITON,), implementation=Implementation("inductor", "default"))
    called = row(15.0, kernels=(CUDNN,), implementation=Implementation("torch", "conv2d", "nhwc"))
    return Rows(timings(([CONV], called), ([RELU], compiled)), list(runs))  # type: ignore[arg-type]


def table(model_rows: Rows, title: str) -> Table:
    return next(each for each in share(case_of(MODEL, model_rows)).tables if each.title.startswith(title))


def test_the_library_is_that_of_the_kernels_whoever_calls_them() -> None:
    rows = {cells[0]: cells[1:] for cells in table(measured(), "Fastest implementation").rows}
    assert rows["cuDNN"] == (1, 50.0, 15.0, 75.0)
    assert rows["Triton"] == (1, 50.0, 5.0, 25.0)
    assert (
        "Of the time of the fastest implementations, 75 % is in their kernels."
        in share(case_of(MODEL, measured())).sentence
    )


def test_kinds_without_a_function_are_told() -> None:
    move = layer("t", Movement("transpose", 64), ["x"])
    answer = share(case_of(graph(move, relu("r", "t"))))
    assert "functions for 1 of its 2 layers" in answer.sentence
    kinds = next(each for each in answer.tables if each.title.startswith("Kinds"))
    assert {cells[0]: cells[1] for cells in kinds.rows} == {"movement": None, "activation": "cuDNN"}


def test_a_network_slower_launch_by_launch_than_replayed_waits_for_the_host() -> None:
    rows = measured(run("channels-last cuda-graph", 100.0), run("channels-last", 400.0))
    answer = share(case_of(MODEL, rows))
    (finding,) = answer.findings
    assert (finding.saves_us, finding.speedup, finding.source) == (300.0, 4.0, Source.MEASURED)
    assert "the model waits for the host: measured 400 µs" in answer.sentence
    assert "replayed or compiled so already" in finding.limits


def test_what_comes_off_a_stored_run_is_not_what_the_verdict_ends_with() -> None:
    rows = measured(run("channels-last cuda-graph", 100.0), run("channels-last", 400.0))
    analysis = analyze_graph(MODEL, H200, DataType.BF16, "warm", rows)
    assert analysis.findings[0].kind == "host"
    assert "waits for the host" not in analysis.verdict


def test_a_host_that_keeps_up_is_no_finding() -> None:
    answer = share(case_of(MODEL, measured(run("channels-last cuda-graph", 100.0), run("channels-last", 104.0))))
    assert answer.findings == ()
    assert "The host keeps up" in answer.sentence


def test_one_way_of_running_tells_nothing_of_the_host() -> None:
    answer = share(case_of(MODEL, measured(run("compile", 100.0))))
    assert answer.findings == ()
    assert "--profile" in answer.needs


@pytest.mark.parametrize(("gap_us", "waits"), [(100.0, True), (1.0, False)])
def test_a_profile_tells_whether_the_run_waits(gap_us: float, waits: bool) -> None:
    execution = recorded(gap_us)
    answer = share(case_of(MODEL, measured(), execution=execution))
    assert ("Your run waits for the host" in answer.sentence) is waits
    assert answer.findings == ()
    kernels = next(each for each in answer.tables if each.title.startswith("Kernels of your run"))
    assert {cells[:2] for cells in kernels.rows} == {("cuDNN", 1), ("PyTorch", 1)}


def recorded(gap_us: float) -> Execution:
    """A step of two launches, asked for ``gap_us`` apart."""
    calls = tuple(Call("aten::op", at * gap_us, gap_us, 1) for at in range(2))
    names = (CUDNN.name, "void at::native::vectorized_elementwise_kernel<4>(int)")
    launches = tuple(
        Launch(name, LaunchKind.KERNEL, 10 + at * max(gap_us, 50.0), 50.0, 7, call=at, launched_us=at * gap_us)
        for at, name in enumerate(names)
    )
    step = Step("step", 0.0, 2 * gap_us, calls, launches)
    runs = tuple(LayerRun((at,), (at,), (at,), 50.0) for at in range(2))
    profile = Profile("onnxruntime", "trace.json", "NVIDIA H200", (step,))
    return Execution(profile, step, runs, (), max(2 * gap_us, 110.0), 1.0, {0: 0, 1: 1})


def test_a_run_on_a_cpu_stands_beside_no_bound() -> None:
    recorded_once = recorded(100.0)
    on_cpu = replace(recorded_once, step=replace(recorded_once.step, launches=()), runs=(), run_of={})
    case = case_of(MODEL, measured(run("cuda-graph", 40.0)), execution=on_cpu)
    assert not case.has_run
    assert case.latency_us == 40.0
    assert case.comes_off_us == case.timed.sequential_us
    assert analyze_graph(MODEL, H200, DataType.BF16, execution=on_cpu).measured_us is None


def test_the_recorded_step_is_one_that_can_be_replayed() -> None:
    assert replace(recorded(1.0), latency_us=1.0).step.gpu_busy_us == pytest.approx(100.0)
